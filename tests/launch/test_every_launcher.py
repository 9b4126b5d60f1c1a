"""The contract of launching, with real ranks on every launcher that can be installed.

Each launcher has its own MPI library, so that no test can pass with another's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.launch.launchers.installed import identify
from tests.mpis import MPIS, Mpi
from tests.variants import first_of

pytestmark = pytest.mark.launches_mpi

NASTY = ["a  'b' $HOME; \"c\" * \\ ü", "", ":"]
MANGLED = ("--map-by", "--bind-to", "--rank-by")
SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - its name

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--text", action="append")
    for option in ("--map-by", "--bind-to", "--rank-by"):
        parser.addoption(option, dest=option)
"""
FACTS = f"""
import dataclasses, json, os, socket, sys
from pathlib import Path
from mlpstorage_bench.launch.environment import detect_launcher

def test_facts(mpi_comm, pytestconfig):
    from mpi4py import MPI
    facts = dict(
        rank=mpi_comm.rank,
        size=mpi_comm.size,
        hosts=mpi_comm.allgather(socket.gethostname()),
        text=pytestconfig.getoption("--text"),
        mangled=[pytestconfig.getoption(name) for name in {MANGLED}],
        executable=sys.executable,
        directory=os.getcwd(),
        probe=os.environ.get("PYTHONPROBE"),
        secret=os.environ.get("{SECRET}"),
        transport=os.environ.get("OMPI_MCA_btl"),
        library=MPI.Get_library_version(),
        launcher=dataclasses.asdict(detect_launcher(os.environ)),
    )
    Path(f"facts-{{mpi_comm.rank}}.json").write_text(json.dumps(facts))
"""


IN_THE_MATRIX = {"open mpi 4.1": pytest.mark.failure_matrix, "mpich": pytest.mark.long}
"""Marks of launchers that `make test` does without here: it starts their ranks elsewhere."""


@pytest.fixture(params=[pytest.param(name, marks=IN_THE_MATRIX.get(name, ())) for name in MPIS])
def mpi(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Mpi:
    one = MPIS[request.param]()
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    return one


@pytest.fixture
def place(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose name needs shell quoting, with tests that record their environment."""
    folder = pytester.path / "my  tests ü"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_facts.py").write_text(FACTS)
    monkeypatch.chdir(folder)
    return folder


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def launched(mpi: Mpi, ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
        *(f"--mlps-num-processes={ranks}", *mpi.switches, *arguments),
    )


def facts_of(folder: Path, ranks: int) -> list[dict[str, Any]]:
    return [json.loads((folder / f"facts-{rank}.json").read_text()) for rank in range(ranks)]


def check_facts(mpi: Mpi, folder: Path, text: Sequence[str] | None) -> None:
    """Check the recorded environment of two ranks on this host."""
    here = os.uname().nodename
    version = identify(mpi.binary).title.split()[-1]
    for rank, facts in enumerate(facts_of(folder, 2)):
        launcher = facts["launcher"]
        assert (facts["rank"], facts["size"], facts["hosts"]) == (rank, 2, [here, here])
        assert (launcher["launcher"], launcher["rank"], launcher["size"]) == (mpi.family, rank, 2)
        assert (launcher["local_rank"], launcher["local_size"]) == (rank, 2)
        assert version.startswith(launcher["version"] or "")
        assert version in facts["library"]
        assert facts["text"] == text
        assert facts["executable"] == sys.executable
        assert facts["directory"] == str(folder)
        assert facts["probe"] == "a,b c=ü"


@pytest.mark.long
def test_launched_ranks_receive_arguments_and_environment_unchanged(
    mpi: Mpi, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROBE", "a,b c=ü")
    given = [word for text in NASTY for word in ("--text", text)]
    done = launched(mpi, 2, *given, *(word for name in MANGLED for word in (name, name[2:])))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1
    check_facts(mpi, place, NASTY)
    for facts in facts_of(place, 2):
        assert facts["mangled"] == ["map-by", "bind-to", "rank-by"]
    assert f"--wdir '{place}'" in done.stdout.replace(" -wdir", " --wdir")
    lacking = mpi.family == "hydra"
    assert ("note: --mlps-oversubscribe: MPICH (Hydra)" in done.stdout) is lacking


@pytest.mark.long
@pytest.mark.parametrize("transport", ["vader", "tcp"])
def test_open_mpi_ranks_use_the_chosen_transport(mpi: Mpi, transport: str, place: Path) -> None:
    done = launched(mpi, 2, f"--mlps-mpi-btl={transport}")
    if mpi.family == "hydra":
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert f"--mlps-mpi-btl: got '{transport}'; accepted: auto with MPICH" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    name = "sm" if mpi.name == "Open MPI 5" and transport == "vader" else transport
    assert [facts["transport"] for facts in facts_of(place, 2)] == [f"{name},self"] * 2


def test_ranks_started_by_hand_form_one_session(
    mpi: Mpi, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROBE", "a,b c=ü")
    done = run(*mpi.by_hand(2), sys.executable, "-m", "pytest", "--text", NASTY[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1
    check_facts(mpi, place, NASTY[:1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("body", "arguments", "status"),
    [
        ("def test_it(): assert 1 == 2", [], pytest.ExitCode.TESTS_FAILED),
        pytest.param(
            *("", ["nowhere.py"], pytest.ExitCode.USAGE_ERROR), marks=pytest.mark.failure_matrix
        ),
        pytest.param(
            *("", [], pytest.ExitCode.NO_TESTS_COLLECTED), marks=pytest.mark.failure_matrix
        ),
    ],
    ids=["failure", "usage error", "no tests"],
)
def test_launched_session_returns_pytests_exit_status(
    mpi: Mpi, place: Path, body: str, arguments: list[str], status: int
) -> None:
    (place / "test_facts.py").write_text(body)
    assert launched(mpi, 2, *arguments).returncode == status


def test_launched_benchmark_writes_results(mpi: Mpi, place: Path) -> None:
    (place / "test_facts.py").write_text("def test_small(kvcache): kvcache.run(1)")
    done = launched(
        *(mpi, 2, "--mlps-results-dir=results", "--mlps-cache-dir=cache", "--mlps-trials=1"),
        *("--mlps-set=duration=60", "--mlps-set=requests=20", "--mlps-set=calibration=0"),
        "--mlps-set=entry_scale=0.001",
        *("--mlps-set=think_time_scale=0.05", "--mlps-set=warmup=0"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (place / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    assert (metadata["num_processes"], metadata["mlpstorage"]["status"]) == (2, "passed")
    assert metadata["mlpstorage"]["launcher"] == mpi.family
    assert "-m pytest" in metadata["executed_command"]
    assert "--mlps-set=duration=60" in metadata["executed_command"]


AGENT = """#!/bin/sh
# Reaches "another host": a process with a host name of its own, and nothing of our environment.
while [ "${1#-}" != "$1" ]; do shift; done
host=$1; shift
exec env -i PATH=/usr/bin:/bin HOME="$HOME" unshare --uts /bin/sh -c "hostname $host; $*"
"""


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a process a host name")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_ranks_follow_slots_without_forwarding_secrets(
    mpi: Mpi, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = place.parent / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    monkeypatch.setenv(SECRET, "hush")
    monkeypatch.setenv("PYTHONPROBE", "b c")
    done = launched(
        *(mpi, 4, "--mlps-hosts=h1:1,h2:3", "--text", NASTY[0]),
        f"--mlps-mpi-params={mpi.agent.format(agent)}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = facts_of(place, 4)
    assert Counter(found[0]["hosts"]) == {"h1": 1, "h2": 3}
    assert found[0]["hosts"][0] == "h1"
    assert [facts["secret"] for facts in found] == [None] * 4
    assert {(facts["probe"], facts["directory"], facts["text"][0]) for facts in found} == {
        ("b c", str(place), NASTY[0])
    }


@pytest.mark.parametrize(
    ("launcher", "library", "started"),
    [
        ("mpich", "open mpi 5", "by hand"),
        pytest.param("mpich", "open mpi 5", "launched", marks=pytest.mark.long),
        pytest.param("open mpi 5", "mpich", "by hand", marks=pytest.mark.long),
        pytest.param("open mpi 4.1", "open mpi 5", "by hand", marks=pytest.mark.failure_matrix),
        pytest.param("open mpi 5", "open mpi 4.1", "launched", marks=pytest.mark.failure_matrix),
    ],
)
def test_library_of_another_mpi_is_refused_with_both_names(
    launcher: str, library: str, started: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting, loaded = MPIS[launcher](), MPIS[library]()
    for name, value in loaded.environment.items():
        monkeypatch.setenv(name, value)
    if started == "by hand":
        done = run(*starting.by_hand(2), sys.executable, "-m", "pytest")
    else:
        done = launched(starting, 2)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    message = rf"ERROR: rank \d on {os.uname().nodename}: The ranks were started by"
    assert re.search(message, done.stderr), done.stderr
    for one in (starting, loaded):
        assert identify(one.binary).title.replace(" (Hydra)", "") in done.stderr.replace(
            " (Hydra)", ""
        )
    assert list(place.glob("facts-*")) == []


@pytest.mark.parametrize(
    ("launcher", "library", "started"),
    first_of(("open mpi 5", "mpich", "by hand"), ("mpich", "open mpi 5", "launched")),
)
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.failure_matrix), 1])
def test_single_rank_with_another_library_reports_it(
    launcher: str,
    library: str,
    started: str,
    rank: int,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All ranks have to end, although only one knows the reason."""
    starting, loaded = MPIS[launcher](), MPIS[library]()
    for name, value in starting.environment.items():
        monkeypatch.setenv(name, value)
    (place / "early.py").write_text(
        f"""
import os

if os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK")) == "{rank}":
    os.environ.pop("MPI4PY_LIBMPI", None)
    os.environ.update({dict(loaded.environment)})
"""
    )
    if started == "by hand":
        done = run(*starting.by_hand(2), sys.executable, "-m", "pytest", "-p", "early")
    else:
        done = launched(starting, 2, "-p", "early", "--mlps-grace=2")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert f"ERROR: rank {rank} on {os.uname().nodename}: The ranks were star" in done.stderr
    assert list(place.glob("facts-*")) == []
