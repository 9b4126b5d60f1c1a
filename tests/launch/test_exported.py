"""Environment variables in commands and results: names without values."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.launch.launchers.exported import without_values
from tests.conftest import mpirun


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mpirun -x KEY=hush,hush -n 2 python -m pytest", "mpirun -x KEY -n 2 python -m pytest"),
        ("mpirun -x KEY -n 2 pytest -x a=b", "mpirun -x KEY -n 2 pytest -x a=b"),
        ("mpiexec -genv KEY hush -env N hush -n 2 /v/python3.11 x", "mpiexec -n 2 /v/python3.11 x"),
        ("mpiexec --genv=KEY=hush --env KEY=hush pytest", "mpiexec --genv=KEY --env KEY pytest"),
        ("srun --export=ALL,KEY=hush,B -n2 pytest", "srun --export=ALL,KEY,B -n2 pytest"),
        ("srun --export A='hush,hush',KEY=hush -n2 pytest", "srun --export A,KEY -n2 pytest"),
        ("pytest --mlps-mpi-params='-x K=hush -v' -x", "pytest --mlps-mpi-params='-x K -v' -x"),
        ("pytest --mpi-params '-x KEY=hush -v'", "pytest --mpi-params '-x KEY -v'"),
        ("mpirun -n 2 pytest -k 'a=b' --mlps-set=a=b", "mpirun -n 2 pytest -k a=b --mlps-set=a=b"),
    ],
)  # fmt: skip
def test_command_omits_values_of_variables(given: str, kept: str) -> None:
    words = [word.replace("A=hush,hush", "A='hush,hush'") for word in shlex.split(given)]
    assert without_values(words) == shlex.split(kept)


@pytest.mark.launches_mpi
@pytest.mark.parametrize("started", ["by hand", "launched"])
def test_values_of_variables_are_neither_stored_nor_printed(tmp_path: Path, started: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(mlps_run): pass")
    pytest_command = [sys.executable, "-m", "pytest", "--mlps-results-dir=results"]
    launcher, *flags = mpirun(2)
    if started == "by hand":
        command = [launcher, "-x", "KEY=hush123", *flags, *pytest_command]
    else:
        params = shlex.join(["-x", "KEY=hush123", *flags[2:]])
        command = [*pytest_command, "--mlps-num-processes=2", f"--mlps-mpi-params={params}"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hush123" not in done.stdout + done.stderr
    (path,) = (tmp_path / "results").rglob("*_metadata.json")
    assert "-x KEY" in json.loads(path.read_text())["executed_command"]
    for file in (tmp_path / "results").rglob("*"):
        assert not file.is_file() or b"hush123" not in file.read_bytes()
