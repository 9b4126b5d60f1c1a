"""Exits of watched processes, in the order of the exits.

A process descriptor (pidfd, Linux 5.3) becomes readable when its process exits, and epoll returns
several descriptors in that order. Where descriptors are unavailable or scarce, processes are
polled by process id; exits between two polls are then reported together.
"""

from __future__ import annotations

import os
import resource
import select

import psutil

_POLL_S = 0.2
_RESERVED = 64
"""Number of descriptors left free for the rest of this process."""


class ExitWatcher:
    """Watches processes; the caller gives each a number, for example its rank."""

    def __init__(self, event: int) -> None:
        self._poller = select.epoll()
        self._poller.register(event, select.EPOLLIN | select.EPOLLET)
        self._by_descriptor: dict[int, int] = {}
        self._polled: dict[int, psutil.Process] = {}
        self._exited_before: list[int] = []
        self._exits: list[tuple[int, ...]] = []

    def watch(self, number: int, process_id: int) -> None:
        """Start to watch a process; one that has exited already is reported first."""
        try:
            descriptor = _descriptor_of(process_id)
            if descriptor is None:
                self._polled[number] = psutil.Process(process_id)
            elif _is_readable(descriptor):
                os.close(descriptor)
                self._exited_before.append(number)
            else:
                self._by_descriptor[descriptor] = number
                self._poller.register(descriptor, select.EPOLLIN)
        except (ProcessLookupError, psutil.NoSuchProcess):
            self._exited_before.append(number)

    def wait(self, seconds: float) -> None:
        """Sleep until a process exits, the event is readable, or the seconds have passed."""
        longest_s = min(seconds, _POLL_S) if self._polled else seconds
        for descriptor, _ in self._poller.poll(longest_s):
            number = self._by_descriptor.pop(descriptor, None)
            if number is not None:
                os.close(descriptor)  # epoll removes a closed descriptor
                self._exits.append((number,))
        exited = tuple(number for number, one in self._polled.items() if not _is_alive(one))
        for number in exited:
            del self._polled[number]
        if exited:
            self._exits.append(exited)

    def take_exits(self) -> list[tuple[int, ...]]:
        """Return the exits since the last call; those of unknown order form one tuple."""
        first = [tuple(self._exited_before)] if self._exited_before else []
        exits = [*first, *self._exits]
        self._exited_before, self._exits = [], []
        return exits

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in self._by_descriptor:
            os.close(descriptor)
        self._poller.close()


def _descriptor_of(process_id: int) -> int | None:
    """Return a process descriptor; None if the kernel has none or few are left."""
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
