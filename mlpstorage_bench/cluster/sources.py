"""Check that all hosts have the same sources: this package's files, and those of the tests.

Ranks of two versions may fail to communicate; if they do not, they measure different programs.
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
    """Version and digest of this package on a host."""

    host: str
    version: str
    digest: str

    def __str__(self) -> str:
        """Return version and digest: files of the same version may differ."""
        return f"{self.version} (files {self.digest})"


def installed_package(host: str, package: Path = PACKAGE) -> InstalledPackage:
    """Return the installed package of this host; the digest covers all its files."""
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
    """Raise DifferentSourcesError, with the package of each host, unless all are equal."""
    if len({str(package) for package in installed}) > 1:
        values = format_values((package.host, str(package)) for package in installed)
        raise DifferentSourcesError(
            f"mlpstorage_bench differs between hosts: {values}. Install the same on every host"
        )


def digests(files: Iterable[Path], root: Path) -> tuple[tuple[str, str], ...]:
    """Return name and digest of each file, sorted; names inside `root` are relative to it."""
    found = {}
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        found[name.as_posix()] = xxhash.xxh3_64_hexdigest(path.read_bytes())
    return tuple(sorted(found.items()))
