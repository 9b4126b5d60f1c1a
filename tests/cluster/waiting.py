"""Wait for a condition by polling."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 30


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
