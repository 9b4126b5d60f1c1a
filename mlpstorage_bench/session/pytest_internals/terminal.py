"""The terminal: pytest's reporter, its colors and its encoding."""

from __future__ import annotations

import os

import pytest
from _pytest.terminal import TerminalReporter

__all__ = ["TerminalReporter"]  # pytest.TerminalReporter exists since pytest 8.4


def terminal_reporter(config: pytest.Config) -> TerminalReporter | None:
    """Return pytest's terminal reporter; None under `-p no:terminal`."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    return reporter if isinstance(reporter, TerminalReporter) else None


def encoding_of(reporter: TerminalReporter) -> str:
    """Return the encoding of pytest's terminal: what it lacks, pytest writes as escapes."""
    return getattr(reporter._tw._file, "encoding", None) or "utf-8"  # noqa: SLF001 - no public name


def write_raw(reporter: TerminalReporter, text: str) -> None:
    """Write text as it is, without a change of the width that pytest has counted."""
    file = reporter._tw._file  # noqa: SLF001 - its own write counts escape sequences as columns
    file.write(text)
    file.flush()


def write_without_colors(config: pytest.Config) -> None:
    """Switch off the colors that pytest chose itself, before or after its reporter exists."""
    asked = ("FORCE_COLOR", "PY_COLORS")
    if config.getoption("color", "no") != "auto" or any(os.environ.get(name) for name in asked):
        return
    config.option.color = "no"
    reporter = terminal_reporter(config)
    if reporter is not None:
        reporter.hasmarkup = reporter._tw.hasmarkup = False  # noqa: SLF001 - no public name
