"""Signals that ask a process of a session to stop, and when it may hear them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

OF_ONE = (signal.SIGINT, signal.SIGTERM)
"""What asks a session of one process to stop: a run that is told to end leaves its results."""
OF_A_RANK = (*OF_ONE, signal.SIGUSR1)
"""What asks a rank: launchers pass on SIGUSR1 and go on."""


class Interrupts:
    """Raises KeyboardInterrupt for such signals, but where that would do harm.

    In a meeting of ranks, one at any bytecode would leave a collective half done, and the next one
    would then be matched with the wrong message on the others. Beside other threads, it could come
    just after a lock of theirs was taken, which then nobody would release. There, they are held
    back until the next place where they do no harm. In the midst of a session's end one would leave
    the other ranks there, and results half written: from then on none is heard.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._ignoring = False
        self._pending = False

    def listen(self, numbers: Sequence[signal.Signals]) -> None:
        """Hear these signals from now on."""
        for number in numbers:
            signal.signal(number, self._arrived)

    @contextmanager
    def listening(self, numbers: Sequence[signal.Signals]) -> Iterator[None]:
        """Hear these signals inside, unless this process ignores them, as under nohup."""
        before = {number: signal.getsignal(number) for number in numbers}
        heard = {number for number, handler in before.items() if handler is not signal.SIG_IGN}
        self.listen([*heard])
        try:
            yield
        finally:
            for number in heard:
                signal.signal(number, before[number] or signal.SIG_DFL)

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if self._ignoring:
            return
        if not self._holders:
            raise KeyboardInterrupt
        self._pending = True

    def raise_pending(self) -> None:
        """Raise the interrupt that was held back, where it does no harm."""
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Hold interrupts back inside; one that came meanwhile is raised at the end."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
        if not self._holders:
            self.raise_pending()

    def ignore(self) -> None:
        """Hear no more of them, until this process has ended; launchers still can kill it.

        A handler of Python's would not do: Python takes it away before MPI ends.
        """
        self._ignoring = True
        self._pending = False
        for number in OF_A_RANK:
            signal.signal(number, signal.SIG_IGN)
