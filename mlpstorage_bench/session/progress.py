"""Progress of a session on the terminal: a region below pytest's dots, or lines.

Rank 0 writes both, as its own output and pytest's are then in one order. It cannot tell a terminal:
Open MPI gives ranks a pseudo-terminal whatever its own output is. So the parent looks, and tells
rank 0 the width; under a launcher of the user's, there are lines. Open MPI also holds back what no
newline follows, so that an update of the region ends with one there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.progress.live_region import LiveRegion
from mlpstorage_bench.progress.state import Progress, Viewer
from mlpstorage_bench.progress.text import line, region
from mlpstorage_bench.session import terminal
from mlpstorage_bench.session.activation import SCENARIO
from mlpstorage_bench.session.judging import planned_rounds
from mlpstorage_bench.session.pytest_internals.capture import is_captured, uncaptured
from mlpstorage_bench.session.pytest_internals.terminal import (
    TerminalReporter,
    terminal_reporter,
    write_raw,
)
from mlpstorage_bench.session.relaunch import COLUMNS_VARIABLE, can_show_region
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.start import fixtures_of

_LEAST_COLUMNS = 40


def is_watched(session: MlpsSession) -> bool:
    """Whether rank 0 shows the progress, or gives it to plugins; the same on every rank."""
    return session.hooks_watch_progress or _is_shown(session)


def _is_shown(session: MlpsSession) -> bool:
    return session.settings.progress.mode != "off" and session.config.get_verbosity() >= 0


def viewer_of(session: MlpsSession, item: pytest.Item, *, is_timed: bool) -> Viewer | None:
    """Return where the progress of a test is shown; None on ranks other than 0, or if it is not.

    `is_timed` is whether pytest-benchmark times the rounds of tests.
    """
    if not session.is_root:
        return None
    shows = [*_shown(session)]
    if session.hooks_watch_progress:
        shows.append(session.hooks.progress)
    if not shows:
        return None

    def show(progress: Progress) -> None:
        for one in shows:
            one(progress)

    items = [one for one in item.session.items if _measures(one)]
    number = items.index(item) + 1 if item in items else 1
    later = _trials_of(session, item, items[number:], is_timed=is_timed)
    return Viewer(show, number, max(1, len(items)), later)


def _measures(item: pytest.Item) -> bool:
    """Whether a test runs a benchmark: it has a fixture of a type, and is not skipped."""
    return bool(_types_of(item)) and item.get_closest_marker("skip") is None


def _types_of(item: pytest.Item) -> list[str]:
    return registry.types_of_fixtures(fixtures_of(item))


def _trials_of(
    session: MlpsSession, item: pytest.Item, later: list[pytest.Item], *, is_timed: bool
) -> int | None:
    """Return how many trials later tests run; None if one is of another type than `item`."""
    if any(_types_of(one) != _types_of(item) for one in later):
        return None
    return sum(
        _trials_of_test(session, name, one, is_timed=is_timed)
        for one in later
        for name in _types_of(one)
    )


def _trials_of_test(session: MlpsSession, name: str, item: pytest.Item, *, is_timed: bool) -> int:
    """Return how many trials of a type a test runs, with those that do not count."""
    kind, plan = registry.load(name), session.plan(name)
    is_scenario = item.get_closest_marker(SCENARIO) is not None
    planned = kind.planned_trials(plan, is_scenario=is_scenario)
    return kind.warm_up_trials(plan) + planned_rounds(session, planned, is_timed=is_timed)


def _shown(session: MlpsSession) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows the progress on the terminal, if anything does."""
    reporter = terminal_reporter(session.config)
    if reporter is not None and _is_shown(session):
        columns = _columns(session, reporter)
        yield _Lines(session) if columns is None else _Region(session, reporter, columns)


def hide(session: MlpsSession) -> None:
    """Remove the region before anything else is written."""
    shown, session.progress_region = session.progress_region, None
    reporter = terminal_reporter(session.config)
    if shown is not None and reporter is not None:
        with uncaptured(session.config):
            write_raw(reporter, shown.erased())


def _columns(session: MlpsSession, reporter: TerminalReporter) -> int | None:
    """Return the width of the terminal for a region; None if lines are to be written."""
    mode = session.settings.progress.mode
    if mode == "lines":
        return None
    if session.parent is not None and session.parent.directory is not None:
        given = os.environ.get(COLUMNS_VARIABLE, "")
        columns = int(given) if given.isdecimal() else None
    elif session.launcher is None and can_show_region(
        os.environ, is_terminal=bool(reporter.isatty)
    ):
        columns = shutil.get_terminal_size().columns
    else:
        columns = None
    if columns is None and mode == "live":
        columns = shutil.get_terminal_size().columns
    if columns is None or columns < _LEAST_COLUMNS:
        return None
    # what a test prints at once would end up in the region
    return columns if mode == "live" or is_captured(session.config) else None


class _Region:
    """Shows each state in a region of the terminal."""

    def __init__(self, session: MlpsSession, reporter: TerminalReporter, columns: int) -> None:
        self._session = session
        self._reporter = reporter
        self._columns = columns

    def __call__(self, progress: Progress) -> None:
        session = self._session
        if session.progress_region is None:
            session.progress_region = LiveRegion(ends_lines=session.launcher is not None)
        lines = region(progress, self._columns, has_color=self._reporter.hasmarkup)
        with uncaptured(session.config):
            write_raw(self._reporter, session.progress_region.drawn(lines))


class _Lines:
    """Shows a state in a line, now and then."""

    def __init__(self, session: MlpsSession) -> None:
        self._session = session

    def __call__(self, progress: Progress) -> None:
        session, now_s = self._session, time.monotonic()
        if now_s - session.progress_shown_s < session.settings.progress.every_s:
            return
        session.progress_shown_s = now_s
        with uncaptured(session.config):
            terminal.say(session.config, for_terminal(line(progress)))
