"""A directory with the smallest test of a type, and the sessions that run in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.types.smallest import Smallest

LIMIT_S = 120
"""A session that hangs is killed; none takes a tenth of it."""


@dataclass(frozen=True)
class Session:
    """A session that has ended."""

    status: int
    output: str
    """Both outputs."""

    def passed(self) -> str:
        """Check that the session passed, and return its output."""
        assert self.status == 0, self.output
        return self.output


class Project:
    """A directory in which sessions of one type run."""

    def __init__(self, path: Path, name: str, smallest: Smallest) -> None:
        self.path = path
        self.name = name
        self.smallest = smallest
        self.cache = path / "cache"
        self.results = path / "results"
        (path / "pytest.ini").write_text("[pytest]\n")
        (path / "test_smallest.py").write_text(smallest.test + "\n")

    def run(self, *options: str, launcher: Sequence[str] = ()) -> Session:
        """Run the test with further options, which may change others."""
        return self.command(*self.smallest.options(self.name), *options, launcher=launcher)

    def command(self, *options: str, launcher: Sequence[str] = ()) -> Session:
        """Run pytest with these options alone."""
        done = subprocess.run(
            [*launcher, sys.executable, "-m", "pytest", "--color=no", *options],
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        return Session(done.returncode, done.stdout)

    def setting(self, *settings: str) -> tuple[str, ...]:
        """Return options for values of this type."""
        return tuple(f"--mlps-set={self.name}.{setting}" for setting in settings)

    def metadata(self) -> list[dict[str, Any]]:
        """Return the metadata of all runs that were not removed, in the order of their times."""
        found = self.results.glob("[!.]*/**/*_metadata.json")
        read = [json.loads(path.read_text()) for path in found]
        return sorted(read, key=lambda one: str(one["mlpstorage"]["start_datetime"]))

    def only(self) -> dict[str, Any]:
        """Return the metadata of the only run."""
        (metadata,) = self.metadata()
        return metadata

    def left(self) -> list[str]:
        """Return the files in the cache directory that are not data which stays."""
        kept = {*self.cache.glob(self.smallest.data)} if self.smallest.keeps_data else set()
        manifests = ("dataset.json", "digests") if self.smallest.keeps_data else ()
        return sorted(
            str(path.relative_to(self.cache))
            for path in self.cache.rglob("*")
            if path.is_file() and path not in kept and path.name not in manifests
        )
