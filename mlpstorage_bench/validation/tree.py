"""A results tree as the published rules know it: organizations, systems, workloads, run leaves.

`<division>/<organization>/results/<system>/<type>/<model>[/<index>][/<command>]/<time>/`

A run is identified by the place of its leaf, never by paths in its files: those are of the machine
on which it ran.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.validation.document import Document
from mlpstorage_bench.validation.reading import (
    VALIDATE_OPTION,
    Unreadable,
    has_directory,
    has_file,
    read_json,
    read_pointer,
    read_yaml,
)

DIVISIONS = ("closed", "open", "whatif")
TIMESTAMP = re.compile(r"\d{8}_\d{6}")
POOL_MARKER = ".mlps-image-pool"
POINTER = ".mlps-code-image"
_RESULTS = "results"
_DEFAULT_COMMAND = "run"
"""The command of a leaf whose path has no level for it: checkpointing."""
_COMMANDS = ("datasize", "datagen", "run")


@dataclass(frozen=True)
class RankFile:
    """The results of one rank in one trial of an option of kv_cache."""

    option: int
    trial: int
    rank: int
    path: Path

    @cached_property
    def document(self) -> Document | Unreadable:
        """The file's content, or why it cannot be read."""
        return read_json(self.path)


@dataclass(frozen=True)
class Leaf:
    """The directory of one invocation, named by its time."""

    path: Path
    division: str
    organization: str
    system: str
    benchmark_type: str
    model: str
    index: str
    """The index of a vector database; else empty."""
    command: str

    @property
    def timestamp(self) -> str:
        """The directory's name, YYYYMMDD_HHMMSS."""
        return self.path.name

    def __str__(self) -> str:
        parts = (self.division, self.organization, self.system, self.benchmark_type, self.model)
        return "/".join(part for part in (*parts, self.index, self.command, self.timestamp) if part)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in the directory."""
        return frozenset(_names(self.path))

    @cached_property
    def metadata_files(self) -> list[Path]:
        """The files named as this leaf's metadata; readers accept exactly one."""
        beginning = f"{self.benchmark_type}_"
        return [
            self.path / name
            for name in sorted(self.names)
            if name.startswith(beginning) and name.endswith("_metadata.json")
        ]

    @cached_property
    def metadata(self) -> Document | Unreadable:
        """The metadata, if there is exactly one such file and it can be read."""
        if len(self.metadata_files) != 1:
            return Unreadable(f"{len(self.metadata_files)} metadata files in the leaf")
        return read_json(self.metadata_files[0])

    @cached_property
    def summary(self) -> Document | Unreadable:
        """The summary under the name that today's readers read."""
        return self._json("summary.json")

    @cached_property
    def any_summary(self) -> Document | Unreadable:
        """The summary, under its former name where there is no other."""
        former = [name for name in self.names if name.startswith("kvcache_run_summary")]
        if "summary.json" in self.names or len(former) != 1:
            return self.summary
        return self._json(former[0])

    @cached_property
    def separation(self) -> Document | Unreadable:
        """The record of whether data and results lie on different filesystems."""
        return self._json("fs_separation.json")

    @cached_property
    def provenance(self) -> Document | Unreadable:
        """The stamp of tool and rules edition."""
        return self._json("provenance.json")

    @cached_property
    def pointer(self) -> str | Unreadable:
        """The text that names the code image."""
        return (
            read_pointer(self.path / POINTER)
            if POINTER in self.names
            else Unreadable("no pointer to a code image")
        )

    @cached_property
    def rank_files(self) -> list[RankFile]:
        """The rank files of kv_cache, by option, trial and rank."""
        found = []
        for option, in_option in _numbered(self.path, "option_"):
            for trial, in_trial in _numbered(in_option, "trial_"):
                for rank, in_rank in _numbered(in_trial, "rank_"):
                    found += [
                        RankFile(option, trial, rank, in_rank / name)
                        for name in sorted(_names(in_rank))
                        if name.startswith("kvcache_results_") and name.endswith(".json")
                    ]
        return found

    def _json(self, name: str) -> Document | Unreadable:
        return read_json(self.path / name) if name in self.names else Unreadable(f"no {name}")


@dataclass
class Workload:
    """The leaves of one model, or of one index of a vector database, on one system."""

    division: str
    organization: str
    system: str
    benchmark_type: str
    model: str
    index: str
    path: Path
    leaves: list[Leaf] = field(default_factory=list)

    def __str__(self) -> str:
        parts = (self.division, self.organization, self.system, self.benchmark_type, self.model)
        return "/".join(part for part in (*parts, self.index) if part)

    def of_command(self, command: str) -> list[Leaf]:
        """Return the leaves of a command, oldest first."""
        return sorted(
            (leaf for leaf in self.leaves if leaf.command == command),
            key=lambda leaf: leaf.timestamp,
        )


@dataclass
class System:
    """A system under test: its description and its workloads."""

    division: str
    organization: str
    name: str
    path: Path
    workloads: list[Workload] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.division}/{self.organization}/{self.name}"

    @property
    def leaves(self) -> list[Leaf]:
        """All leaves of the system."""
        return [leaf for workload in self.workloads for leaf in workload.leaves]

    @cached_property
    def description(self) -> Document | Unreadable:
        """The system description."""
        path = self.path.parent.parent / "systems" / f"{self.name}.yaml"
        if not has_file(path):
            return Unreadable(f"no systems/{self.name}.yaml")
        return read_yaml(path)


@dataclass
class Organization:
    """A submitter's directory in one division."""

    division: str
    name: str
    path: Path
    systems: list[System] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.division}/{self.name}"


@dataclass
class Tree:
    """Content of a path: one leaf, a part of a tree, or a whole submission."""

    root: Path
    top: Path
    """The directory that holds the divisions; the root itself where none is known."""
    organizations: list[Organization]
    is_whole: bool
    """Whether the root holds the divisions, so that rules on the whole tree apply."""

    def __str__(self) -> str:
        return "."

    @property
    def systems(self) -> list[System]:
        """All systems."""
        return [system for organization in self.organizations for system in organization.systems]

    @property
    def leaves(self) -> list[Leaf]:
        """All leaves."""
        return [leaf for system in self.systems for leaf in system.leaves]


def read_tree(root: Path) -> Tree:
    """Find every leaf at or below a path; raises InvalidInputError if there is none."""
    if not has_directory(root):
        raise InvalidInputError(VALIDATE_OPTION, str(root), "a directory")
    resolved = root.resolve()
    organizations: dict[tuple[str, str], Organization] = {}
    systems: dict[Path, System] = {}
    workloads: dict[Path, Workload] = {}
    for path in _leaf_directories(resolved):
        leaf, base = _leaf(path)
        organization = organizations.setdefault(
            (leaf.division, leaf.organization),
            Organization(leaf.division, leaf.organization, base.parent.parent),
        )
        if base not in systems:
            systems[base] = System(leaf.division, leaf.organization, leaf.system, base)
            organization.systems.append(systems[base])
        place = base / leaf.benchmark_type / leaf.model / leaf.index
        if place not in workloads:
            workloads[place] = Workload(
                leaf.division,
                leaf.organization,
                leaf.system,
                leaf.benchmark_type,
                leaf.model,
                leaf.index,
                place,
            )
            systems[base].workloads.append(workloads[place])
        workloads[place].leaves.append(leaf)
    if not organizations:
        raise InvalidInputError(
            VALIDATE_OPTION,
            str(root),
            "a run's directory (named YYYYMMDD_HHMMSS), or a directory above some",
            hint="Directories without closed/, open/ or whatif/ above them are not counted",
        )
    top = next(iter(organizations.values())).path.parent.parent
    return Tree(resolved, top, list(organizations.values()), is_whole=top == resolved)


def _leaf(path: Path) -> tuple[Leaf, Path]:
    """Return the leaf at a path, and the directory of its system."""
    parts = path.parts
    at = _division_at(parts)
    division, organization, _, system, kind, model, *rest = parts[at:-1]
    index = ""
    if kind == "vector_database" and rest and rest[0] not in _COMMANDS:
        index, *rest = rest
    command = rest[0] if rest else _DEFAULT_COMMAND
    leaf = Leaf(path, division, organization, system, kind, model, index, command)
    return leaf, Path(*parts[: at + 4])


def _division_at(parts: tuple[str, ...]) -> int:
    """Return the position of the division in a leaf's path; -1 if it has none."""
    for at in range(len(parts) - 6, 0, -1):
        if parts[at] in DIVISIONS and parts[at + 2] == _RESULTS:
            return at
    return -1


def _leaf_directories(root: Path) -> Iterator[Path]:
    """Yield the directories at or below a path that are named by a time; links are not followed."""
    if TIMESTAMP.fullmatch(root.name) and _division_at(root.parts) >= 0:
        yield root
        return
    for directory, names, _ in os.walk(root):
        names.sort()
        times = [name for name in names if TIMESTAMP.fullmatch(name)]
        for name in times:
            path = Path(directory, name)
            if not path.is_symlink() and _division_at(path.parts) >= 0:
                yield path
        names[:] = [
            name for name in names if name not in times and not name.startswith((".", "code-"))
        ]


def _numbered(directory: Path, beginning: str) -> Iterable[tuple[int, Path]]:
    """Return number and path of the directories named by a beginning and a number, in order."""
    found = [
        (int(name.removeprefix(beginning)), directory / name)
        for name in _names(directory)
        if re.fullmatch(re.escape(beginning) + r"\d{1,6}", name)
    ]
    return sorted(found)


def _names(directory: Path) -> list[str]:
    return [path.name for path in _entries(directory)]


def _entries(directory: Path) -> list[Path]:
    """Return the entries of a directory; none of what is no directory or cannot be read."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def names_in(directory: Path, *, directories: bool) -> list[str]:
    """Return the names of a directory's directories, or of its other entries; no dot files."""
    return [
        entry.name
        for entry in _entries(directory)
        if has_directory(entry) == directories and not entry.name.startswith(".")
    ]
