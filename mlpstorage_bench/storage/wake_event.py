"""An event that other threads set to end a wait in the kernel."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from mlpstorage_bench.storage.kernel_queue import QueueRefusedError


class WakeEvent:
    """An eventfd(2) that the kernel reports as readable from `set` until `take`.

    Raises QueueRefusedError.
    """

    def __init__(self) -> None:
        try:
            self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError as error:
            raise QueueRefusedError(f"no eventfd: {error.strerror}") from error
        """-1 once closed."""
        self._lock = threading.RLock()  # a signal handler may call `set` within `set`
        """Held while others use the descriptor, whose number may belong to another file later."""

    def set(self) -> None:
        """Set the event; any thread may, also after `close`."""
        with self._lock:
            if self.descriptor >= 0:
                os.eventfd_write(self.descriptor, 1)

    def take(self) -> int:
        """Return how often the event was set, and clear it."""
        with suppress(BlockingIOError):
            return os.eventfd_read(self.descriptor)
        return 0

    def close(self) -> None:
        """Release the descriptor."""
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
