"""Stop signals in a rank: raised as KeyboardInterrupt, deferred or ignored."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

PROCESS_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Stop signals of a session of one process: a terminated run keeps its results."""
RANK_SIGNALS = (*PROCESS_SIGNALS, signal.SIGUSR1)
"""Stop signals of a rank: launchers forward SIGUSR1 and keep running."""


class Interrupts:
    """Raises KeyboardInterrupt for stop signals, except where it would break something.

    Inside a checked collective, an interrupt could leave the collective incomplete: the next one
    would be matched with the wrong message of other ranks. Beside other threads, it could be raised
    just after a shared lock was taken, which would then never be released. There, interrupts are
    deferred to the next safe point. During the session's end, one would leave the other ranks
    waiting and results incomplete: from then on stop signals are ignored.
    """

    def __init__(self, report: Callable[[], None] | None = None) -> None:
        self._report = report
        """Called once, at the first stop signal."""
        self._deferrals = 0
        self._ignoring = False
        self._pending = False

    def handle(self, numbers: Sequence[signal.Signals]) -> None:
        """Install the handler for these signals."""
        for number in numbers:
            signal.signal(number, self._on_signal)

    @contextmanager
    def handling(self, numbers: Sequence[signal.Signals]) -> Iterator[None]:
        """Handle these signals inside, except those that this process ignores (nohup)."""
        before = {number: signal.getsignal(number) for number in numbers}
        handled = {number for number, handler in before.items() if handler is not signal.SIG_IGN}
        self.handle([*handled])
        try:
            yield
        finally:
            for number in handled:
                signal.signal(number, before[number] or signal.SIG_DFL)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._ignoring:
            return
        report, self._report = self._report, None
        if report is not None:
            report()
        if not self._deferrals:
            raise KeyboardInterrupt
        self._pending = True

    def raise_pending(self) -> None:
        """Raise a deferred interrupt; to be called at a safe point."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Defer interrupts inside; raise a deferred one at the end."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        if not self._deferrals:
            self.raise_pending()

    def ignore(self) -> None:
        """Ignore stop signals until exit (SIGKILL still works).

        A Python handler is not enough: Python removes it before MPI is finalised.
        """
        self._ignoring = True
        self._pending = False
        for number in RANK_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
