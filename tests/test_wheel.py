"""The wheel in an environment of its own: its benchmarks run in an empty directory."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.conftest import WITHOUT_TEST_TOOLS, mpirun
from tests.session.tiny import TINY

PROJECT = Path(__file__).parents[1]
BENCHMARKS = ("--pyargs", "mlpstorage_bench.benchmarks")

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel without network; dependencies come from this environment."""
    pytest.importorskip("hatchling", reason="builds a wheel with hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, PROJECT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    prefix = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", vars=prefix))
    run(*pip, "install", "--no-deps", "--no-index", "--target", packages, wheel, cwd=folder)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin" / "python"


def test_wheel_is_what_the_environment_imports(python: Path, tmp_path: Path) -> None:
    code = "import mlpstorage_bench; print(mlpstorage_bench.__file__)"
    assert Path(run(python, "-c", code, cwd=tmp_path).strip()).is_relative_to(python.parents[1])


def test_benchmarks_run_in_an_empty_directory(python: Path, tmp_path: Path) -> None:
    output = run(python, "-m", "pytest", *BENCHMARKS, *TINY, cwd=tmp_path)
    assert "16 passed" in output
    runs = [path.name.rsplit("_", 3)[0] for path in tmp_path.rglob("*_metadata.json")]
    assert sorted(runs) == ["checkpointing", "kv_cache", "training"]


@pytest.mark.long
@pytest.mark.launches_mpi
def test_benchmarks_run_on_two_ranks(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{WITHOUT_TEST_TOOLS} -k 'test_workload or rag'")
    output = run(*mpirun(2), python, "-m", "pytest", *BENCHMARKS, *TINY, cwd=tmp_path)
    assert "4 passed" in output
    (metadata,) = (tmp_path / "results").rglob("*_metadata.json")
    assert '"num_processes": 2' in metadata.read_text()


def test_checkout_has_the_same_benchmarks(tmp_path: Path) -> None:
    collect = (sys.executable, "-m", "pytest", "--collect-only", "-q")
    packaged = run(*collect, *BENCHMARKS, cwd=tmp_path).splitlines()
    checkout = run(*collect, "benchmarks/", cwd=PROJECT).splitlines()
    names = [line.rpartition("/")[2] for line in checkout if "::" in line]
    assert names == [line.rpartition("/")[2] for line in packaged if "::" in line]
    assert "benchmarks/test_kvcache.py::test_workload[1]" in checkout
