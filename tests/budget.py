"""Kinds of tests: detection of started processes, and limits of processor time.

`make check` selects tests by the markers `starts_process` and `slow`. The first is set here where
tests/starting.py finds it implied; a test that starts a process through the package has to be
marked by hand. A test that starts a process without the marker fails. Where the variable CI is
set, so does a test without both markers that takes more processor time than `LIMIT_S`. Tests with
processes have no limit: ranks that wait for each other use a core each, as long as they wait.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from functools import cache

import pytest
from hypothesis import find, settings
from hypothesis import strategies as st

from tests.starting import starts_process

STARTING_EVENTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
)
"""Audit events of the interpreter for the start of a process."""

LIMIT_S = 4.0
"""Processor seconds of a test of `make check`; all of them take less than one."""

_started: list[str] = []


def _record_start(
    event: str,
    _arguments: tuple[object, ...],
    events: frozenset[str] = STARTING_EVENTS,
    record: Callable[[str], None] = _started.append,
) -> None:
    """Record a start; at the interpreter's exit, default arguments exist longer than globals."""
    if event in events:
        record(event)


@cache
def _make_tables() -> None:
    """Have Hypothesis make its tables of characters: the first test of text would pay for them.

    In a new checkout they take 3 s, and twice as long where coverage is measured.
    """
    find(st.text(min_size=1), lambda _: True, settings=settings(database=None))


class TestBudget:
    """Plugin that marks tests by kind and enforces the rules of their markers."""

    __test__ = False

    def __init__(
        self,
        *,
        limits_time: bool,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._limits_time = limits_time
        self._limit_s = limit_s
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
        """Read the counters before and after a test."""
        if self._limits_time:
            _make_tables()
        _started.clear()
        self._before_s = time.process_time()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that violates the rules of its markers."""
        result = yield
        is_marked = item.get_closest_marker("starts_process") is not None
        if _started and not is_marked:
            pytest.fail(
                f"the test started a process ({_started[0]}) and is not marked so. "
                "Mark it with pytest.mark.starts_process: make check leaves it out then",
                pytrace=False,
            )
        spent_s = time.process_time() - self._before_s
        is_limited = self._limits_time and not is_marked and not item.get_closest_marker("slow")
        if is_limited and spent_s > self._limit_s:
            pytest.fail(
                f"the test took {spent_s:.1f} s of processor time; at most {self._limit_s:g} s "
                "without the marker slow. Make it faster, or mark it with pytest.mark.slow",
                pytrace=False,
            )
        return result


def from_environment() -> TestBudget:
    """Return the plugin of this project's tests: time is limited only in CI."""
    return TestBudget(limits_time="CI" in os.environ)
