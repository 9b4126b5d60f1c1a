"""Start of sessions on the hosts of a cluster, and their results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.cluster.namespace_cluster import INTERFACE, NamespaceCluster
from tests.conftest import WITHOUT_TEST_TOOLS
from tests.mpis import Mpi

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
ENDLESS = (
    *("--mlps-set=duration=300", "--mlps-set=warmup=0", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0", "--mlps-trials=1"),
)
"""Options for a case that something else ends."""
TINY = (*ENDLESS, "--mlps-set=requests=20")
"""Options for a case of half a second."""


def environment(mpi: Mpi, **more: str) -> dict[str, str]:
    """Return the environment of a user's shell on a host: the MPI, and its network."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPYCACHEPREFIX": str(Path(sys.prefix) / "pycache"),
        "PYTEST_ADDOPTS": WITHOUT_TEST_TOOLS,
        "OMPI_MCA_oob_tcp_if_include": INTERFACE,
        "OMPI_MCA_btl_tcp_if_include": INTERFACE,
        **mpi.environment,
        **more,
    }


def places(cluster: NamespaceCluster) -> tuple[str, str]:
    """Return options for results and cache in each host's own filesystem."""
    return (
        f"--mlps-results-dir={cluster.private}/results",
        f"--mlps-cache-dir={cluster.private}/cache",
    )


def launching(mpi: Mpi, hosts: str, agent: Path, ranks: int = 2) -> list[str]:
    """Return the command by which pytest starts ranks on hosts."""
    return [
        *(*PYTEST, "--hosts", hosts, f"--mlps-num-processes={ranks}", *mpi.switches),
        f"--mlps-mpi-params={mpi.agent.format(agent)}",
    ]


def metadata_on(cluster: NamespaceCluster, host: str) -> dict[str, Any]:
    """Return the metadata of the only run on a host."""
    (path,) = cluster.seen_by(host, cluster.private).glob("results/**/*_metadata.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def facts_in(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded facts of each rank, in rank order."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("facts-*.json"))]


def files_on(cluster: NamespaceCluster, host: str, name: str) -> list[str]:
    """Return the names of the files in a private directory of a host."""
    place = cluster.seen_by(host, cluster.private / name)
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
