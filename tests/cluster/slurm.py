"""Slurm on the hosts of a cluster: a controller on the first, a daemon on each, no accounting."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from tests.cluster.namespace_cluster import HOSTS, NamespaceCluster
from tests.cluster.waiting import wait_until
from tests.mpis import MPIS, Mpi

BY_SLURM = " by srun"
"""Suffix of the name of an MPI whose ranks Slurm starts."""
NEEDED = ("slurmctld", "slurmd", "srun", "sinfo", "munged")
PROTOCOL = {"openmpi": "pmix", "hydra": "pmi2"}
"""PMI plugin for each MPI, by the family of its own launcher."""

_CONFIGURATION = """
ClusterName=cluster
SlurmctldHost=h1
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={place}/munge
StateSaveLocation={place}/controller
SlurmdSpoolDir={place}/daemon
SlurmctldPidFile={place}/controller.pid
SlurmdPidFile={place}/daemon.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=2
NodeName={hosts} CPUs=4
PartitionName=all Nodes=ALL Default=YES OverSubscribe=FORCE
"""


def why_not() -> str:
    """Return why Slurm cannot run on this machine; '' if it can."""
    lacking = [program for program in NEEDED if shutil.which(program) is None]
    return f"needs Slurm: no {', '.join(lacking)}" if lacking else ""


class Slurm:
    """A Slurm cluster of the hosts that waits for jobs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def starts(self, name: str) -> Mpi:
        """Return an MPI whose ranks srun starts."""
        mpi = MPIS[name]()
        return replace(
            mpi,
            name=f"{mpi.name}{BY_SLURM}",
            binary="/usr/bin/srun",
            agent=f"--mpi={PROTOCOL[mpi.family]}",
            family="srun",
            environment={**mpi.environment, **self._environment},
        )


@contextmanager
def running(cluster: NamespaceCluster) -> Iterator[Slurm]:
    """Run Slurm on all hosts of a cluster."""
    place, folder = cluster.private / "slurm", cluster.folder / "slurm"
    folder.mkdir()
    key = folder / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    settings = _CONFIGURATION.format(place=place, hosts=",".join(HOSTS))
    (folder / "slurm.conf").write_text(settings)
    (folder / "mpi.conf").write_text(f"PMIxCliTmpDirBase={place}\n")
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    try:
        for host in HOSTS:
            cluster.do(host, "mkdir", str(place), f"{place}/controller", f"{place}/daemon")
            cluster.do(host, "cp", str(key), str(place))
            cluster.serve(
                host,
                [
                    *("munged", "--foreground", "--force", f"--key-file={place}/key"),
                    *(f"--socket={place}/munge", f"--pid-file={place}/munge.pid"),
                    *(f"--seed-file={place}/munge.seed", f"--log-file={place}/munge.log"),
                ],
            )
        wait_until(lambda: all(cluster.seen_by(host, place / "munge").exists() for host in HOSTS))
        cluster.serve(HOSTS[0], ["slurmctld", "-D", "-i"], environment)
        for host in HOSTS:
            cluster.serve(host, ["slurmd", "-D", "-N", host], environment)

        def is_ready() -> bool:
            states = cluster.run(HOSTS[0], "sinfo", "-h", "-N", "-o", "%t", environment=environment)
            return states.stdout.split() == ["idle"] * len(HOSTS)

        wait_until(is_ready)
        yield Slurm(environment)
    finally:
        cluster.end_services()
        shutil.rmtree(folder)
