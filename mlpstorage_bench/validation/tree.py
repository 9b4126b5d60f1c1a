"""A results tree as the published rules know it: organizations, systems, workloads, run leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.place import TIMESTAMP, place_of, system_directory
from mlpstorage_bench.leaves.reading import Unreadable, read_yaml
from mlpstorage_bench.validation.lookups import VALIDATE_OPTION, has_directory, has_file

POOL_MARKER = ".mlps-image-pool"


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
        above = (self.division, self.organization, "results", self.system)
        return "/".join((*above, self.benchmark_type, self.model, *filter(None, [self.index])))

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
        return f"{self.division}/{self.organization}/results/{self.name}"

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
    for leaf in _leaves(resolved):
        base = system_directory(leaf.path)
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


def _leaves(root: Path) -> Iterator[Leaf]:
    """Yield the leaves at or below a path; links are not followed."""
    place = place_of(root)
    if place is not None:
        yield Leaf(root, place)
        return
    for directory, names, _ in os.walk(root):
        names.sort()
        times = [name for name in names if TIMESTAMP.fullmatch(name)]
        for name in times:
            path = Path(directory, name)
            place = place_of(path)
            if place is not None and not path.is_symlink():
                yield Leaf(path, place)
        names[:] = [
            name for name in names if name not in times and not name.startswith((".", "code-"))
        ]
