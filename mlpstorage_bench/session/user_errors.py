"""Failures by errors that explain themselves: the reason, then the user's own lines alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.session.pytest_internals.benchmark_plugin import BENCHMARK_PACKAGE
from mlpstorage_bench.session.pytest_internals.failures import put_reason_first

_PACKAGE = Path(__file__).parents[1]
_BENCHMARKS = _PACKAGE / "benchmarks"


def hide_own_frames(config: pytest.Config, call: pytest.CallInfo[None]) -> None:
    """Remove frames and causes inside this package from an error for users.

    They stay with --full-trace.
    """
    error = _explained(config, call)
    if error is not None and call.excinfo is not None:
        error.__traceback__ = _without_own(call.excinfo.tb)
        error.__cause__, error.__suppress_context__ = None, True
        call.excinfo = pytest.ExceptionInfo.from_exception(error)


def show_reason_first(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> None:
    """Show the reason of a failure by an error for users above the user's lines."""
    if report.failed and _explained(item.config, call) is not None and call.excinfo is not None:
        put_reason_first(item, call.excinfo, report)


def _explained(config: pytest.Config, call: pytest.CallInfo[None]) -> MlpsError | None:
    """Return the error that explains itself; None for others and with --full-trace."""
    if call.excinfo is None or config.getoption("fulltrace"):
        return None
    error = call.excinfo.value
    return error if isinstance(error, MlpsError) else None


def _without_own(traceback: TracebackType) -> TracebackType:
    """Return a traceback without frames of this package; as it is if there are no others.

    Frames of contextlib are left out too: they only pass an error on.
    """
    kept: TracebackType | None = None
    for entry in reversed([*_entries(traceback)]):
        if not _is_own(Path(entry.tb_frame.f_code.co_filename)):
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept or traceback


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_own(file: Path) -> bool:
    if _BENCHMARKS in file.parents:
        return False
    is_passed_on = file == Path(contextlib.__file__)
    return is_passed_on or _PACKAGE in file.parents or BENCHMARK_PACKAGE in file.parents
