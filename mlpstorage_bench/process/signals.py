"""Stop signals to the parent of ranks, recorded instead of raised."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Context manager that records stop signals; signals ignored before (nohup) stay ignored.

    After a request to stop, further signals are ignored on exit: one during the interpreter's
    shutdown would kill the process.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self.repeated_interrupts = 0
        """Number of SIGINT after the first signal; a closing terminal repeats SIGHUP."""
        self.event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Event descriptor; readable after each signal."""
        self._previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def __enter__(self) -> Self:
        for number, previous in self._previous.items():
            if previous is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(
                number, signal.SIG_IGN if self.is_requested else previous or signal.SIG_DFL
            )
        os.close(self.event)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.is_requested and number == signal.SIGINT:
            self.repeated_interrupts += 1
        self.is_requested = True
        os.eventfd_write(self.event, 1)
