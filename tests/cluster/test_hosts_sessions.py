"""Sessions over several hosts on every MPI: placement, environment and results of ranks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlpstorage_bench.launch.launchers.exported import exported_names
from mlpstorage_bench.process.stderr import ABORT_STATUS
from tests.cluster.namespace_cluster import HOSTS, NamespaceCluster
from tests.cluster.sessions_on_hosts import (
    PYTEST,
    TINY,
    environment,
    facts_in,
    files_on,
    launching,
    metadata_on,
    places,
)
from tests.cluster.slurm import BY_SLURM, Slurm
from tests.cluster.waiting import PATIENCE_S, wait_until
from tests.mpis import MPIS, Mpi
from tests.variants import first_of

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

PROJECT = Path(__file__).parent.parent.parent
TEXTS = ["a  'b' $HOME; \"c\" * \\ ü", "", ":"]
MANGLED = ("--map-by", "--bind-to", "--rank-by")
PLANTED = dict.fromkeys(
    ("AWS_SECRET_ACCESS_KEY", "EDITOR", "DATABASE_URL", "PATHS", "MPI_TOKEN", "XMLPS_KEY"), "hush"
)
"""Variables of the user's shell, which must not be forwarded."""
OF_PYTEST = frozenset({"PYTEST_CURRENT_TEST", "PYTEST_VERSION"})
OF_LAUNCHERS = frozenset(
    {
        *("DYLD_LIBRARY_PATH", "GFORTRAN_UNBUFFERED_PRECONNECTED"),
        *("HFI_NO_BACKTRACE", "IPATH_NO_BACKTRACE"),
    }
)
"""Variables that launchers and MPI libraries set."""
BY_LAUNCHERS = (
    *("OMPI_", "OPAL_", "PMIX_", "PRTE_", "ORTE_"),
    *("HYDRA_", "HYDI_", "PMI_", "MPI_", "MPIR_"),
    *("SLURM_", "SLURMD_", "SRUN_"),
)
"""Prefixes of variables that launchers set."""

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--text", action="append")
    for option in ("--map-by", "--bind-to", "--rank-by"):
        parser.addoption(option, dest=option)
"""
TESTS = f"""
import json, os, socket, sys
from pathlib import Path
from mlpstorage_bench.launch.environment import detect_launcher

def test_facts(mpi_comm, pytestconfig):
    launcher = detect_launcher(os.environ)
    facts = dict(
        rank=mpi_comm.rank,
        host=socket.gethostname(),
        hosts=mpi_comm.allgather(socket.gethostname()),
        local_rank=launcher.local_rank,
        local_size=launcher.local_size,
        text=pytestconfig.getoption("--text"),
        mangled=[pytestconfig.getoption(name) for name in {MANGLED}],
        executable=sys.executable,
        directory=os.getcwd(),
        probe=os.environ.get("PYTHONPROBE"),
        environment=sorted(os.environ),
    )
    Path(f"facts-{{mpi_comm.rank}}.json").write_text(json.dumps(facts))

def test_small(kvcache, cluster_info):
    assert cluster_info.hostnames == ("h1", "h2")
    result = kvcache.run(1)
    assert result.write_bytes > 0
"""
LEAVES = """
import os

def test_leaves(mpi_comm):
    if mpi_comm.rank == 1:
        os._exit(0)
    mpi_comm.barrier()
"""

SSHD = "/usr/sbin/sshd"
SSHD_CONFIG = """
HostKey {keys}/host
AuthorizedKeysFile {keys}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
SetEnv {login}
"""
SSH_CONFIG = """
Host *
IdentityFile {keys}/user
IdentitiesOnly yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
BatchMode yes
"""


EVERY_LAUNCHER = pytest.mark.parametrize(
    "mpi_name",
    [
        *first_of(*MPIS),
        *(
            pytest.param(name + BY_SLURM, marks=pytest.mark.hosts_matrix)
            for name in MPIS
            if name != "mpich"  # with more than two ranks, Slurm 22.05's pmi2 fails sometimes
        ),
    ],
)


def check_metadata(metadata: dict[str, Any]) -> None:
    assert metadata["mlpstorage"]["status"] == "passed"
    assert (metadata["num_processes"], metadata["hosts"]) == (4, ["h1", "h2"])
    info = metadata["system_info"]
    assert (info["num_hosts"], info["collection_method"]) == (2, "mpi")
    assert [host["hostname"] for host in info["hosts"]] == ["h1", "h2"]
    assert sorted(rank for host in info["hosts"] for rank in host["ranks"]) == [0, 1, 2, 3]
    assert [len(host["ranks"]) for host in info["hosts"]] == [2, 2]


def check_rank_results(cluster: NamespaceCluster, host: str) -> None:
    """Check that all ranks' results are on the host with the results directory."""
    names = files_on(cluster, host, "results")
    for rank in range(4):
        assert sum(f"/trial_0/rank_{rank}/" in name for name in names) == 1


def check_environment(rank: Mapping[str, Any], cluster: NamespaceCluster, agent: Path) -> None:
    """Check that a rank has only variables of the login, the launcher and the package."""
    names = set(rank["environment"])
    assert not names & PLANTED.keys()
    login = cluster.do("h3", str(agent), rank["host"], "env").splitlines()
    names -= {*(line.partition("=")[0] for line in login), *OF_PYTEST, *OF_LAUNCHERS}
    others = {name for name in names if not name.startswith(BY_LAUNCHERS)}
    assert others - {*exported_names(dict.fromkeys(others, ""))} == set()


@EVERY_LAUNCHER
def test_launched_ranks_receive_everything_and_write_results_on_one_host(
    mpi: Mpi, cluster: NamespaceCluster, shared: Path
) -> None:
    (shared / "conftest.py").write_text(CONFTEST)
    (shared / "test_it.py").write_text(TESTS)
    given = [word for text in TEXTS for word in ("--text", text)]
    tokens = [word for name in MANGLED for word in (name, name[2:])]
    done = cluster.run(
        "h1",
        *launching(mpi, "h1:2,h2:2", cluster.agent, ranks=4),
        *(*TINY, *places(cluster), *given, *tokens),
        environment=environment(mpi, PYTHONPROBE="a,b c=ü", **PLANTED),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("2 passed") == 1
    facts = facts_in(shared)
    assert [rank["rank"] for rank in facts] == [0, 1, 2, 3]
    assert sorted((rank["host"], rank["local_rank"]) for rank in facts) == [
        *(("h1", 0), ("h1", 1), ("h2", 0), ("h2", 1))
    ]
    for rank in facts:
        assert rank["local_size"] == 2
        assert rank["text"] == TEXTS
        assert rank["mangled"] == ["map-by", "bind-to", "rank-by"]
        assert (rank["directory"], rank["probe"]) == (str(shared), "a,b c=ü")
        assert rank["executable"] == PYTEST[0]
        if rank["host"] != "h1":
            check_environment(rank, cluster, cluster.agent)
    check_metadata(metadata_on(cluster, "h1"))
    check_rank_results(cluster, "h1")
    assert files_on(cluster, "h2", "results") == []
    assert files_on(cluster, "h1", "cache") == files_on(cluster, "h2", "cache") == []


@pytest.mark.hosts_matrix
@EVERY_LAUNCHER
def test_benchmarks_run_when_started_by_hand_from_a_third_host(
    mpi: Mpi, cluster: NamespaceCluster
) -> None:
    done = cluster.run(
        "h3",
        *mpi.on_hosts("h1:2,h2:2", 4, cluster.agent),
        *(*PYTEST, "benchmarks/", "-k", "test_workload and 1", "--mlps-hosts=h1:2,h2:2"),
        *(*TINY, *places(cluster)),
        environment=environment(mpi),
        directory=PROJECT,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("1 passed") == 1
    check_metadata(metadata_on(cluster, "h1"))
    check_rank_results(cluster, "h1")
    assert files_on(cluster, "h3", "results") == files_on(cluster, "h2", "results") == []


@pytest.mark.long
@pytest.mark.parametrize("mpi_name", ["mpich"])
def test_hosts_are_accepted_by_address(mpi: Mpi, cluster: NamespaceCluster, shared: Path) -> None:
    (shared / "test_it.py").write_text("def test_it(mpi_comm): assert mpi_comm.size == 2")
    done = cluster.run(
        *("h3", *launching(mpi, "10.77.0.1,10.77.0.2", cluster.agent)),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mpi_name", ["mpich"])
def test_mpich_rank_that_exits_aborts_a_session_started_by_hand(
    mpi: Mpi, cluster: NamespaceCluster, shared: Path
) -> None:
    (shared / "test_it.py").write_text(LEAVES)
    done = cluster.run(
        *("h1", *mpi.on_hosts("h1:1,h2:1", 2, cluster.agent), *PYTEST),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode == ABORT_STATUS, done.stdout
    assert "rank 1 on h2 died before the session's end" in done.stdout


@pytest.mark.hosts_matrix
def test_slurm_places_uneven_layouts(slurm: Slurm, cluster: NamespaceCluster, shared: Path) -> None:
    (shared / "conftest.py").write_text(CONFTEST)
    (shared / "test_it.py").write_text(TESTS)
    mpi = slurm.starts("open mpi 5")
    done = cluster.run(
        "h3",
        *(*launching(mpi, "h2:1,h1:3", cluster.agent, ranks=4), "-k", "test_facts"),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout
    facts = facts_in(shared)
    assert [(rank["host"], rank["local_rank"], rank["local_size"]) for rank in facts] == [
        *(("h2", 0, 1), ("h1", 0, 3), ("h1", 1, 3), ("h1", 2, 3))
    ]


@pytest.fixture
def ssh(cluster: NamespaceCluster) -> Iterator[Path]:
    """Start an sshd on every host and return the ssh client; skip if there is none."""
    if not Path(SSHD).exists():
        pytest.skip("needs sshd: apt-get install openssh-server")
    keys = cluster.folder / "keys"
    keys.mkdir()
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)]
        subprocess.run(command, check=True)
    login = " ".join(f"{name}={value}" for name, value in cluster.login.items() if name != "HOME")
    (keys / "sshd_config").write_text(SSHD_CONFIG.format(keys=keys, login=login))
    (keys / "ssh_config").write_text(SSH_CONFIG.format(keys=keys))
    client = keys / "ssh"
    client.write_text(f'#!/bin/sh\nexec ssh -F {keys}/ssh_config "$@"\n')
    client.chmod(0o755)
    servers = [
        cluster.start(host, [SSHD, "-D", "-e", "-f", f"{keys}/sshd_config"]) for host in HOSTS[:2]
    ]
    for host in HOSTS[:2]:
        wait_until(partial(_answers, cluster, client, host))
    yield client
    for server in servers:
        for process in psutil.Process(server.pid).children(recursive=True):
            process.terminate()
        server.communicate(timeout=PATIENCE_S)
    shutil.rmtree(keys)


def _answers(cluster: NamespaceCluster, client: Path, host: str) -> bool:
    return cluster.run("h3", str(client), host, "true").returncode == 0


@pytest.mark.hosts_matrix
@pytest.mark.parametrize(
    "mpi_name",
    [
        name if name == "mpich" else pytest.param(name, marks=pytest.mark.hosts_matrix)
        for name in MPIS
    ],
)
def test_ranks_start_on_other_hosts_through_sshd(
    mpi: Mpi, cluster: NamespaceCluster, ssh: Path, shared: Path
) -> None:
    (shared / "conftest.py").write_text(CONFTEST)
    (shared / "test_it.py").write_text(TESTS)
    done = cluster.run(
        "h3",
        *(*launching(mpi, "h1,h2", ssh), "-k", "test_facts", "--text", TEXTS[0]),
        environment=environment(mpi, PYTHONPROBE="a,b c=ü", **PLANTED),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout
    facts = facts_in(shared)
    assert [rank["host"] for rank in facts] == ["h1", "h2"]
    for rank in facts:
        assert (rank["text"], rank["probe"]) == (TEXTS[:1], "a,b c=ü")
        check_environment(rank, cluster, ssh)
