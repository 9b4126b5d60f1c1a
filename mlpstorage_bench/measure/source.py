"""Sources of counts of what a mounted filesystem moved, where no block device shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, Self

from mlpstorage_bench.measure.counters import KernelFile, Reading, Traffic

Scope = Literal["host", "interfaces"]
"""Extent of a source: the filesystem, for all processes of a host; or all that the host's network
interfaces moved."""
Strength = Literal["exact", "bound"]
"""An exact count is of payload. A bound counts other bytes as well: payload was at most as much."""
Parse = Callable[[Sequence[str]], Traffic | None]
"""Converts the texts of a source's files; None if they do not show the traffic."""


@dataclass(frozen=True)
class Source:
    """A source of counts of a filesystem's traffic on one host."""

    name: str
    """The place where bytes are counted, for people: "the NFS mount /mnt"."""
    scope: Scope
    strength: Strength


@dataclass(frozen=True)
class SourceTraffic:
    """Traffic that a host's source counted."""

    source: Source | None
    """None if no source counts this filesystem."""
    traffic: Traffic | None
    reason: str = ""
    """Why the filesystem's own counters cannot be used; '' if they can, or it has none."""

    @property
    def is_exact(self) -> bool:
        """Whether the traffic is that of the filesystem alone."""
        return self.source is not None and self.source.strength == "exact"


@dataclass(frozen=True)
class SourceFiles:
    """Files in which a source's counts are."""

    source: Source
    files: tuple[str, ...]
    parse: Parse

    def open_counter(self) -> SourceCounter | None:
        """Open the files; None if one of them cannot be opened."""
        try:
            return SourceCounter(self)
        except OSError:
            return None

    def read(self) -> Reading[Traffic] | None:
        """Open the files and return what they count now; None if they do not.

        A file of FUSE may have the same content until it is opened again.
        """
        counter = self.open_counter()
        if counter is None:
            return None
        with counter:
            return counter.read()


class SourceCounter:
    """Open files of a source, each read to its end. Context manager."""

    def __init__(self, source: SourceFiles) -> None:
        """Open the files; raises OSError if one cannot be opened."""
        self._parse = source.parse
        with ExitStack() as opened:
            self._files = [opened.enter_context(KernelFile(path)) for path in source.files]
            self._resources = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._resources.close()

    def read(self) -> Reading[Traffic] | None:
        """Return the bytes moved up to the middle of the reading; None if the files lack them."""
        before_ns = time.perf_counter_ns()
        contents = [file.read_to_end() for file in self._files]
        moment_ns = (before_ns + time.perf_counter_ns()) // 2
        traffic = self._parse([content.decode("utf-8", "replace") for content in contents])
        return None if traffic is None else Reading(traffic, moment_ns)
