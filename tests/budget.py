"""Kinds of tests: which start a process, and how much processor time each kind may take.

`make check` selects tests by the markers `starts_process` and `slow`. The first is set here where
tests/starting.py finds it implied; a test that starts a process through the package has to be
marked by hand. A test that starts a process without the marker fails, and so does, where the
variable CI is set, a test without `slow` that takes more than its kind may.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Generator, Sequence

import pytest

from tests.starting import starts_process

STARTING_EVENTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
)
"""Audit events of the interpreter by which a process starts."""

LIMIT_S = 4.0
"""Processor seconds of a test without `slow`; those of `make check` take less than one."""

LIMIT_WITH_PROCESSES_S = 90.0
"""The same for a test that starts processes: ranks that wait for each other use a core each."""

_started: list[str] = []


def _record_start(
    event: str,
    _arguments: tuple[object, ...],
    events: frozenset[str] = STARTING_EVENTS,
    record: Callable[[str], None] = _started.append,
) -> None:
    """Record a start; at the interpreter's exit, defaults are there longer than globals."""
    if event in events:
        record(event)


class TestBudget:
    """Plugin that marks tests by kind and holds each to what its markers say."""

    __test__ = False

    def __init__(
        self,
        *,
        limits_time: bool,
        limit_s: float = LIMIT_S,
        limit_with_processes_s: float = LIMIT_WITH_PROCESSES_S,
    ) -> None:
        self._limits_time = limits_time
        self._limit_s = limit_s
        self._limit_with_processes_s = limit_with_processes_s
        self._before_s = 0.0
        sys.addaudithook(_record_start)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Mark the tests that start processes, before `-m` selects."""
        for item in items:
            if starts_process(item):
                item.add_marker(pytest.mark.starts_process)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Take the readings from which a test is judged."""
        _started.clear()
        self._before_s = processor_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that did what its markers do not say."""
        result = yield
        is_marked = item.get_closest_marker("starts_process") is not None
        if _started and not is_marked:
            pytest.fail(
                f"the test started a process ({_started[0]}) and is not marked so. "
                "Mark it with pytest.mark.starts_process: make check leaves it out then",
                pytrace=False,
            )
        spent_s = processor_seconds() - self._before_s
        limit_s = self._limit_with_processes_s if is_marked else self._limit_s
        if self._limits_time and spent_s > limit_s and not item.get_closest_marker("slow"):
            pytest.fail(
                f"the test took {spent_s:.1f} s of processor time; at most {limit_s:g} s without "
                "the marker slow. Make it faster, or mark it with pytest.mark.slow",
                pytrace=False,
            )
        return result


def processor_seconds() -> float:
    """Return what this process and its ended children have used, whatever else the host runs."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def from_environment() -> TestBudget:
    """Return the plugin of this project's tests: time is limited in CI alone."""
    return TestBudget(limits_time="CI" in os.environ)
