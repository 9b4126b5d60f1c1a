"""Whether hosts run the same sources: this package's files, and the tests' own.

Ranks of two versions may not even meet, and if they do, what they measured is no one benchmark.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from mlpstorage_bench.cluster.differences import format_values
from mlpstorage_bench.errors import DifferentSourcesError

PACKAGE = Path(__file__).parent.parent
DISTRIBUTION = "mlpstorage_bench"


@dataclass(frozen=True)
class InstalledPackage:
    """What a host has of this package."""

    host: str
    version: str
    digest: str

    def __str__(self) -> str:
        """Return what a user can compare: two hosts may have edited the same version."""
        return f"{self.version} (files {self.digest})"


def installed_package(host: str, package: Path = PACKAGE) -> InstalledPackage:
    """Return what this host has installed; the digest is of all that can move a result."""
    files = (
        path
        for path in package.rglob("*")
        if path.is_file()
        and not any(
            part.startswith((".", "__pycache__")) for part in path.relative_to(package).parts
        )
    )
    whole = xxhash.xxh3_64()
    for name, digest in digests(files, package):
        whole.update(f"{name}\0{digest}\0".encode())
    try:
        version = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    return InstalledPackage(host, version, whole.hexdigest())


def check_same_package(installed: Sequence[InstalledPackage]) -> None:
    """Raise DifferentSourcesError, which tells what each host has, unless all have the same."""
    if len({str(package) for package in installed}) > 1:
        values = format_values((package.host, str(package)) for package in installed)
        raise DifferentSourcesError(
            f"mlpstorage_bench differs between hosts: {values}. Install the same on every host"
        )


def digests(files: Iterable[Path], root: Path) -> tuple[tuple[str, str], ...]:
    """Return name and digest of each file, by name; names are relative to `root` where inside."""
    found = {}
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        found[name.as_posix()] = xxhash.xxh3_64_hexdigest(path.read_bytes())
    return tuple(sorted(found.items()))
