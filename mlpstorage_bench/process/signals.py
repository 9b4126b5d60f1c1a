"""Signals that ask the parent of ranks to stop: noted, so that none breaks into what it does."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Notes them inside `with`; what this process ignores (as under nohup) it still does.

    A process that was asked to stop is at its end afterwards, and hears no more of them: Python
    would die of one that comes while it shuts down.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self.insisted = 0
        """How often Ctrl-C came after that; a terminal that closes sends SIGHUP more than once."""
        self.event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Becomes readable with each."""
        self._previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def __enter__(self) -> Self:
        for number, previous in self._previous.items():
            if previous is not signal.SIG_IGN:
                signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(
                number, signal.SIG_IGN if self.is_requested else previous or signal.SIG_DFL
            )
        os.close(self.event)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if self.is_requested and number == signal.SIGINT:
            self.insisted += 1
        self.is_requested = True
        os.eventfd_write(self.event, 1)
