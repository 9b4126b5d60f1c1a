"""The arguments of a run under the reference's names, as its metadata has them in `args`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.options.settings import Settings
from mlpstorage_bench.redaction.commands import record_launcher_arguments
from mlpstorage_bench.redaction.text import redact_json

_ORDER = (
    *("mode", "benchmark", "command", "client_host_memory_in_gb", "max_accelerators"),
    *(
        "accelerator_type",
        "data_dir",
        "o_direct",
        "cache_dir",
        "results_dir",
        "systemname",
        "config_file",
    ),
    *("dry_run", "exec_type", "num_processes", "npernode", "hosts", "mpi_bin", "oversubscribe"),
    *("allow_run_as_root", "mpi_btl", "mpi_params", "gpu_mem_gb", "cpu_mem_gb", "loops"),
    *("duration", "generation_mode", "performance_profile", "enable_autoscaling", "seed"),
    *("trials", "inter_option_delay", "params", "max_concurrent_allocs", "orgname"),
    *("num_client_hosts", "config", "num_users", "model", "data_access_protocol"),
    *("checkpoint_folder", "num_checkpoints_read", "num_checkpoints_write", "checkpoint_subset"),
)
"""The reference's order. Its arguments that have no meaning here are left out."""
_OF_HOSTS = "client_host_memory_in_gb"
"""Least memory of a host in GiB, unless the plan knows it."""


def reference_arguments(
    settings: Settings,
    overrides: Sequence[tuple[str, str]],
    of_plan: Json,
    command: str,
    systemname: str,
    num_hosts: int,
    memory_gib: float | None = None,
    *,
    exec_type: str,
) -> Json:
    """Return what a session was asked to do, with defaults, and without secrets.

    `overrides` are the parameters that were set for the benchmark type, and `of_plan` the arguments
    that its plan knows; `memory_gib` is the least memory of a host, if it is known. `exec_type` is
    `mpi` where a launcher starts the ranks, else `local`.
    """
    flags = settings.launch_flags
    known = {
        "mode": settings.mode,
        "command": command,
        "cache_dir": str(settings.cache_dir),
        "results_dir": str(settings.results_dir),
        "systemname": systemname,
        "config_file": None,
        "dry_run": settings.mode == "whatif",
        "exec_type": exec_type,
        "num_processes": settings.num_processes,
        "npernode": settings.npernode,
        "hosts": [host.name for host in settings.hosts] or None,
        "mpi_bin": settings.mpi_bin,
        "oversubscribe": flags.oversubscribe,
        "allow_run_as_root": flags.allow_run_as_root,
        "mpi_btl": flags.transport,
        "mpi_params": _mpi_params(settings.mpi_params),
        "loops": 1,
        "params": [f"{path}={value}" for path, value in overrides] or "",
        "orgname": settings.orgname,
        "num_client_hosts": num_hosts,
        **of_plan,
        **({_OF_HOSTS: memory_gib} if of_plan.get(_OF_HOSTS, 0) is None else {}),
    }
    return redact_json({name: known[name] for name in _ORDER if name in known})


def _mpi_params(lines: Sequence[str]) -> list[str] | None:
    """Return the words that the user gave to the launcher; None without any."""
    words = [word for line in lines for word in shlex.split(record_launcher_arguments(line))]
    return words or None
