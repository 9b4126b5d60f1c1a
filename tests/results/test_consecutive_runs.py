"""Gaps between runs are compared with the length of a run."""

from __future__ import annotations

import pytest

from mlpstorage_bench.results.consecutive_runs import late_start, long_interruption

ALLOWED = "allowed: less than the 590 s that it took"
TOGETHER = ALLOWED.replace("less", "together less")


@pytest.mark.parametrize(
    ("paused_s", "idle_s", "text"),
    [
        (0.0, 589.0, ""),
        (0.0, 590.0, f"590 s after 20260802_114000 ended; {ALLOWED}"),
        (300.0, 100.0, ""),
        (
            580.0,
            10.0,
            f"10 s after 20260802_114000 ended, which was interrupted for 580 s; {TOGETHER}",
        ),
    ],
)
def test_run_is_late_after_a_gap_as_long_as_the_run_before(
    paused_s: float, idle_s: float, text: str
) -> None:
    assert late_start("20260802_114000", 590.0, paused_s, idle_s) == text


@pytest.mark.parametrize(
    ("paused_s", "text"),
    [(0.0, ""), (589.0, ""), (590.0, f"interrupted for 590 s; {ALLOWED}")],
)
def test_interruption_is_long_if_the_run_is_not_longer(paused_s: float, text: str) -> None:
    assert long_interruption(590.0, paused_s) == text
    assert long_interruption(0.0, 0.0) == ""
