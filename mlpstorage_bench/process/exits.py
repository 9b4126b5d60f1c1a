"""Who of the processes that are watched has died, in the order in which they did.

The kernel tells a process's end through a descriptor of it (Linux 5.3), and an epoll of several
tells them in the order of their ends. Where there are no descriptors, or too few, processes are
looked at by their numbers: then those that ended between two looks count as one.
"""

from __future__ import annotations

import os
import resource
import select

import psutil

_LOOK_S = 0.2
_RESERVED = 64
"""Descriptors that are left for all else that this process does."""


class ExitWatcher:
    """Watches processes, each by a number of the caller's, as a rank is."""

    def __init__(self, event: int) -> None:
        self._poller = select.epoll()
        self._poller.register(event, select.EPOLLIN | select.EPOLLET)
        self._by_descriptor: dict[int, int] = {}
        self._looked_at: dict[int, psutil.Process] = {}
        self._dead_at_first: list[int] = []
        self._died: list[tuple[int, ...]] = []

    def watch(self, number: int, process_id: int) -> None:
        """Watch a process from now on."""
        try:
            descriptor = _descriptor_of(process_id)
            if descriptor is None:
                self._looked_at[number] = psutil.Process(process_id)
            elif _is_readable(descriptor):
                os.close(descriptor)
                self._dead_at_first.append(number)
            else:
                self._by_descriptor[descriptor] = number
                self._poller.register(descriptor, select.EPOLLIN)
        except (ProcessLookupError, psutil.NoSuchProcess):
            self._dead_at_first.append(number)

    def wait(self, seconds: float) -> None:
        """Sleep until a process ends or the event is there, but only so long."""
        longest_s = min(seconds, _LOOK_S) if self._looked_at else seconds
        for descriptor, _ in self._poller.poll(longest_s):
            number = self._by_descriptor.pop(descriptor, None)
            if number is not None:
                os.close(descriptor)  # which takes it out of the epoll
                self._died.append((number,))
        gone = tuple(number for number, one in self._looked_at.items() if not _is_alive(one))
        for number in gone:
            del self._looked_at[number]
        if gone:
            self._died.append(gone)

    def take_exits(self) -> list[tuple[int, ...]]:
        """Return those that died since this was asked last; together, where no order is known."""
        first = [tuple(self._dead_at_first)] if self._dead_at_first else []
        died = [*first, *self._died]
        self._dead_at_first, self._died = [], []
        return died

    def close(self) -> None:
        """Watch nothing any more."""
        for descriptor in self._by_descriptor:
            os.close(descriptor)
        self._poller.close()


def _descriptor_of(process_id: int) -> int | None:
    """Return a process's descriptor; None where the kernel has none, or few are left."""
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        raise
    except OSError:  # before Linux 5.3, forbidden by a container, or no more descriptors
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptor < most - _RESERVED:
        return descriptor
    os.close(descriptor)
    return None


def _is_readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
