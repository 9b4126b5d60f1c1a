"""Signals in a rank: stop signals are raised, deferred or ignored; alarms of others deferred."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

PROCESS_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Stop signals of a session of one process: a terminated run keeps its results."""
RANK_SIGNALS = (*PROCESS_SIGNALS, signal.SIGUSR1)
"""Stop signals of a rank: launchers forward SIGUSR1 and keep running."""
ALARMS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGUSR2)
"""Signals that tests and plugins handle, such as pytest-timeout, and may raise from."""
Handler = Callable[[int, FrameType | None], object]


class Interrupts:
    """Raises KeyboardInterrupt for stop signals, except where it would break something.

    Inside a checked collective, an interrupt could leave the collective incomplete: the next one
    would be matched with the wrong message of other ranks. Beside other threads, it could be raised
    just after a shared lock was taken, which would then never be released. There, interrupts are
    deferred to the next safe point. During the session's end, one would leave the other ranks
    waiting and results incomplete: from then on stop signals are ignored.

    Alarms for which a test or another plugin has a handler in Python are deferred in the same way:
    the handler may raise, as pytest-timeout's does.
    """

    def __init__(self, report: Callable[[], None] | None = None) -> None:
        self._report = report
        """Called once, at the first stop signal."""
        self._deferrals = 0
        self._ignoring = False
        self._pending = False
        self._handlers: dict[int, Handler] = {}
        """Handlers of others, while their alarms are deferred."""
        self._alarms: list[tuple[Handler, int, FrameType | None]] = []
        """Deferred alarms."""

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
        """Raise a deferred interrupt, or call the handler of a deferred alarm, at a safe point."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt
        while self._alarms:
            handler, number, frame = self._alarms.pop(0)
            handler(number, frame)

    @contextmanager
    def deferring(self, *, drops_alarms: bool = False) -> Iterator[None]:
        """Defer signals inside, and handle them at the end; alarms may be dropped instead."""
        is_outermost = not self._deferrals
        if is_outermost and threading.current_thread() is threading.main_thread():
            self._take_alarms(drop=drops_alarms)
        self._deferrals += 1
        try:
            yield
        except BaseException:
            self._alarms.clear()  # they belong to what has ended
            raise
        finally:
            self._deferrals -= 1
            if is_outermost:
                self._return_alarms()
        if is_outermost:
            self.raise_pending()

    def _take_alarms(self, *, drop: bool) -> None:
        """Take the place of the handlers of others."""
        for number in ALARMS:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._drop_alarm if drop else self._defer_alarm)

    def _return_alarms(self) -> None:
        """Restore the handlers of others."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) in (self._defer_alarm, self._drop_alarm):
                signal.signal(number, handler)
        self._handlers.clear()

    def _defer_alarm(self, number: int, frame: FrameType | None) -> None:
        self._alarms.append((self._handlers[number], number, frame))

    def _drop_alarm(self, number: int, frame: FrameType | None) -> None:
        """Do nothing."""

    def ignore(self) -> None:
        """Ignore stop signals until exit (SIGKILL still works).

        A Python handler is not enough: Python removes it before MPI is finalised.
        """
        self._ignoring = True
        self._pending = False
        for number in RANK_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
