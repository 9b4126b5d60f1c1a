"""Files in examples/: each runs with its documented command and a workload of one second."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import mpirun
from tests.session.tiny import TINY
from tests.variants import first_of

EXAMPLES = Path(__file__).parents[2] / "examples"
PYTHON_FILES = sorted(EXAMPLES.glob("test_*.py"))

pytestmark = pytest.mark.starts_process


def run(*command: str | Path, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of a user's, with the examples in it and no other file."""
    (tmp_path / "examples").mkdir()
    for path in EXAMPLES.iterdir():
        if path.is_file():
            (tmp_path / "examples" / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("path", first_of(*PYTHON_FILES), ids=lambda path: path.stem)
def test_example_passes_in_one_process(folder: Path, path: Path) -> None:
    output = run(sys.executable, "-m", "pytest", f"examples/{path.name}", *TINY, folder=folder)
    assert " passed" in output


@pytest.mark.long
@pytest.mark.launches_mpi
def test_example_with_ranks_passes_on_two(folder: Path) -> None:
    file = "examples/test_own_mpi_benchmark.py"
    command = (*mpirun(2), sys.executable, "-m", "pytest", file, *TINY)
    assert "1 passed" in run(*command, folder=folder)


@pytest.mark.long
def test_example_of_a_gate_leaves_verdicts(folder: Path) -> None:
    output = run("sh", "examples/gate.sh", *TINY, folder=folder)
    assert "2 passed" in output
    assert (folder / "verdicts.json").is_file()
