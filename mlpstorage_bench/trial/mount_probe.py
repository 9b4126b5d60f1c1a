"""Probe that finds the counters of a network filesystem for a directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlpstorage_bench.cluster.device_stack import find_mounts_below
from mlpstorage_bench.cluster.filesystems import mount_of
from mlpstorage_bench.cluster.mount_counters.find import MountSources, find_sources
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.trial.probe_file import moved_by_probe
from mlpstorage_bench.units import MIB

_PROBE_BYTES = MIB
"""Enough not to be taken for what others on the host move meanwhile."""


@dataclass(frozen=True)
class MountCounters:
    """Counters that show what a network filesystem moved."""

    files: SourceFiles | None
    """The best source; None if none shows the filesystem's traffic."""
    reason: str = ""
    """Why no exact source does, although the filesystem has one, or why none does at all."""

    @classmethod
    def probe(cls, directory: Path, io_mode: IoMode) -> MountCounters | None:
        """Write and read a file in the directory, and return the best source that showed it.

        None if the directory's files lie on no network filesystem that is known. Traffic that the
        interfaces of this network namespace do not show, such as that of a mount of another
        namespace or of a library that drives a network adapter itself, cannot be audited by them.
        """
        found = _sources_of(directory)
        if found is None:
            return None
        return _best(found, moved_by_probe(found.sources, directory, io_mode, _PROBE_BYTES))


def _sources_of(directory: Path) -> MountSources | None:
    """Return the sources of the one mount below; of other filesystems on it, it is only a bound."""
    below = find_mounts_below(directory)
    found = find_sources(below[0]) if len(below) == 1 else None
    if found is None or mount_of(directory) == below[0]:
        return found
    bounds = [
        replace(files, source=replace(files.source, strength="bound")) for files in found.sources
    ]
    return replace(found, sources=tuple(bounds))


def _best(found: MountSources, moved: Sequence[Traffic | None]) -> MountCounters:
    """Return the first source that showed the probe, and why no exact one did."""
    lacks = [found.reason] if found.reason else []
    bounds: list[str] = []
    for files, increase in zip(found.sources, moved, strict=True):
        if increase is not None and _is_shown(increase, files.source):
            return MountCounters(files, "; ".join(lacks))
        failed = f"{files.source.name} did not count a file that was written and read"
        (lacks if files.source.strength == "exact" else bounds).append(failed)
    return MountCounters(None, "; ".join([*lacks, *bounds]))


def _is_shown(increase: Traffic, source: Source) -> bool:
    """Return whether a source showed the probe: a bound need not show its read.

    A cache above the network may have served that, which the audit is to find.
    """
    is_read_shown = source.strength == "bound" or increase.read_bytes >= _PROBE_BYTES
    return is_read_shown and increase.write_bytes >= _PROBE_BYTES
