"""Signals that ask a rank to stop, and when it may hear them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interrupts:
    """Signals that ask this rank to stop: held back while a meeting is between two steps.

    A KeyboardInterrupt at any bytecode would leave a collective half done, and the next one would
    then be matched with the wrong message on the other ranks. In the midst of a session's end it
    would leave the others there, and results half written: from then on none is heard.
    """

    def __init__(self) -> None:
        self._deferring = False
        self._ignoring = False
        self._pending = False
        for number in _SIGNALS:
            signal.signal(number, self._arrived)

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if self._ignoring:
            return
        if not self._deferring:
            raise KeyboardInterrupt
        self._pending = True

    def ignore(self) -> None:
        """Hear no more of them, until this process has ended; launchers still can kill it.

        A handler of Python's would not do: Python takes it away before MPI ends.
        """
        self._ignoring = True
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def raise_pending(self) -> None:
        """Raise the interrupt that was held back, where it does no harm."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold interrupts back inside; one that came meanwhile is raised at the end."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        self.raise_pending()


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C, so that a run that is told to end still leaves its results."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
