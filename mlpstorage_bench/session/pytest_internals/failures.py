"""Failures of tests, and ends of a session, as pytest represents them."""

from __future__ import annotations

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry
from _pytest.outcomes import Exit

__all__ = ["Exit"]  # pytest.exit.Exception with a type


def put_reason_first(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport
) -> None:
    """Show a failure as its reason, then the lines that led there, without the error's module.

    Only where pytest chooses the form of tracebacks (`--tb=auto`, the default).
    """
    if item.config.getoption("tbstyle", "auto") != "auto":
        return
    shown = item._repr_failure_py(excinfo, style="short")  # noqa: SLF001 - pytest's own for items
    if not isinstance(shown, ExceptionChainRepr) or shown.reprcrash is None:
        return
    module = f"{type(excinfo.value).__module__}."
    shown.reprcrash.message = shown.reprcrash.message.removeprefix(module)
    reason = [f"E   {line}" for line in shown.reprcrash.message.splitlines()]
    entries = shown.reprtraceback.reprentries
    for entry in entries:
        entry.lines = [line for line in entry.lines if not line.startswith("E   ")]
    shown.reprtraceback.reprentries = [ReprEntry(reason, None, None, None, "short"), *entries]
    report.longrepr = shown
