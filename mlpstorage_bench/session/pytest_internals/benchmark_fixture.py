"""pytest-benchmark's fixture: one measurement in each test, by a timer of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from pytest_benchmark.fixture import BenchmarkFixture

from mlpstorage_bench.errors import InvalidInputError

_MEASURING = ("_raw", "_raw_pedantic")
"""Methods of the benchmark fixture that measure a function."""


class TimedTest:
    """A test's benchmark fixture, as benchmark types use it."""

    def __init__(self, benchmark: Any, fixture: str) -> None:
        self._benchmark = benchmark
        self._fixture = fixture
        """Name of the fixture that measures instead."""
        self._mode: object = None
        """pytest-benchmark's mark of a fixture that has measured."""
        self._refuse_others()

    def _refuse_others(self) -> None:
        for name in _MEASURING:  # an attribute of the object hides the method of its class
            setattr(self._benchmark, name, self._refuse)

    def _refuse(self, *_arguments: object, **_more: object) -> NoReturn:
        raise InvalidInputError(
            "benchmark",
            f"a function, in a test with the argument {self._fixture}",
            f"{self._fixture}.run, which is measured by its own clock",
            hint="Measure the function in a test of its own",
        )

    def close(self) -> None:
        """Tell pytest-benchmark that the test has measured; call it after the test."""
        if self._mode is not None:
            self._benchmark._mode = self._mode  # noqa: SLF001 - no public way

    @property
    def extra_info(self) -> dict[str, object]:
        """Additional values for pytest-benchmark's JSON."""
        extra_info: dict[str, object] = self._benchmark.extra_info
        return extra_info

    @property
    def stats(self) -> Any:
        """Statistics; None before the first round."""
        return self._benchmark.stats

    @property
    def was_used(self) -> bool:
        """Whether the test has measured a function; pytest-benchmark times one of each test."""
        return self._mode is not None or self._benchmark._mode is not None  # noqa: SLF001 - no public way

    @property
    def is_enabled(self) -> bool:
        """Whether rounds are timed; under `--benchmark-disable` there is one call."""
        return bool(self._benchmark.enabled)

    def pedantic(self, target: Callable[[], object], *, rounds: int, iterations: int) -> object:
        """Run the target `rounds` times and time each."""
        for name in _MEASURING:
            vars(self._benchmark).pop(name, None)
        try:
            result: object = self._benchmark.pedantic(target, rounds=rounds, iterations=iterations)
        except BaseException:
            # pytest-benchmark does this for an Exception; pytest.fail and an interrupt are none
            self._benchmark.has_error = True
            raise
        finally:
            # With the mark, pytest-benchmark would refuse another function in its own words.
            self._mode, self._benchmark._mode = self._benchmark._mode, None  # noqa: SLF001 - no public way
            self._refuse_others()
        return result


def set_timer_precision(timer: Callable[[], float], precision: float) -> None:
    """Set a timer's precision, which pytest-benchmark would otherwise measure itself."""
    precisions: dict[Any, float] = BenchmarkFixture._precisions  # noqa: SLF001 - no public way
    precisions[timer] = precision


def expect_no_measurement(benchmark: Any) -> None:
    """Prevent pytest-benchmark's warning about a test that ended before its measurement."""
    benchmark.skipped = True
