"""Processes that end, and helper processes that wait for their owner's end."""

from __future__ import annotations

import psutil


def is_gone(process_id: int) -> bool:
    """Whether a process has ended, even if nobody has waited for it."""
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def waits(helper: psutil.Process) -> bool:
    """Whether a helper process waits for its owner's end: what it loads last is loaded."""
    has_loaded = any("_ctypes" in library.path for library in helper.memory_maps())
    return has_loaded and helper.status() == psutil.STATUS_SLEEPING
