"""Ranks run the parent's Python interpreter with the same options."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.launch.command import interpreter_flags
from tests.conftest import mpirun

TEST = """
import json, pathlib, sys

def test_it(mpi_comm):
    found = [sys.flags.optimize, sys.flags.dev_mode, sys.warnoptions, "" in sys.path]
    pathlib.Path(f"facts-{mpi_comm.rank}.json").write_text(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("python -m pytest -x", ""),
        ("python -O -X dev -W error -m pytest", "-O -X dev -W error"),
        ("python -Xdev -Werror /bin/pytest -O", "-Xdev -Werror"),
        ("python -BOm pytest", "-BO"),
        ("python -IXdev -c pass", "-IXdev"),
        ("python /bin/pytest -x", ""),
    ],
)
def test_interpreter_flags_end_at_the_program(command: str, flags: str) -> None:
    assert interpreter_flags(command.split()) == flags.split()


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.parametrize(
    "start", [pytest.param("-m pytest", marks=pytest.mark.failure_matrix), "script"]
)
def test_ranks_start_with_the_parents_interpreter_flags(tmp_path: Path, start: str) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    program = (
        shlex.split(start) if start != "script" else [str(Path(sys.executable).parent / "pytest")]
    )
    _, _, _, *flags = mpirun(2)
    options = ["--mlps-num-processes=2", f"--mlps-mpi-params={shlex.join(flags)}"]
    done = subprocess.run(
        [sys.executable, "-O", "-X", "dev", "-W", "default::ImportWarning", *program, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for rank in range(2):
        optimize, dev_mode, warnings, has_directory = json.loads(
            (tmp_path / f"facts-{rank}.json").read_text()
        )
        assert (optimize, dev_mode) == (1, True)
        assert "default::ImportWarning" in warnings
        assert has_directory == (start != "script")
