"""Runs that have to follow each other: the gaps that are too long (MLPerf Storage rules, 2.1.18).

A run's directory is named by its start, so that a pause in which it was interrupted is a part of
the gap after it; the pauses of the last run are looked at by themselves.
"""

from __future__ import annotations


def late_start(before: str, lasted_s: float, paused_s: float, idle_s: float) -> str:
    """Return how late a run began, in words; '' if the gap is shorter than the run before it.

    `before` names that run, which took `lasted_s` without its pauses of `paused_s`, and ended
    `idle_s` before this one began.
    """
    if paused_s + idle_s < lasted_s:
        return ""
    interrupted = f", which was interrupted for {paused_s:.0f} s" if paused_s else ""
    allowed = f"{'together ' if paused_s else ''}less than the {lasted_s:.0f} s that it took"
    return f"{idle_s:.0f} s after {before} ended{interrupted}; allowed: {allowed}"


def long_interruption(lasted_s: float, paused_s: float) -> str:
    """Return how long a run was interrupted, in words; '' if that was shorter than the run."""
    if not paused_s or paused_s < lasted_s:
        return ""
    return f"interrupted for {paused_s:.0f} s; allowed: less than the {lasted_s:.0f} s that it took"
