"""Wait for a condition by polling."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.failures.scenario import LIMIT_S

PATIENCE_S = LIMIT_S
"""Time after which what is waited for will never come about, also where cores are shared."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def wait_until_none(left: Callable[[], Sequence[str]]) -> None:
    """Wait until nothing is left; the failure shows what is."""
    deadline = time.monotonic() + PATIENCE_S
    while now := left():
        assert time.monotonic() < deadline, f"left after {PATIENCE_S} s: {now}"
        time.sleep(0.05)
