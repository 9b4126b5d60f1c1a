"""Installs the example of a benchmark type for the sessions that a test starts."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "copy_files_project"


def install_copy_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Python find the package and its entry points, as pip does: by metadata beside it."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{point} = {place}" for point, place in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    known = os.environ.get("PYTHONPATH")
    paths = [str(folder), str(PROJECT), *([known] if known else [])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
