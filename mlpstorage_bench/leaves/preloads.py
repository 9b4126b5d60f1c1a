"""Libraries that a run preloaded, and its own checks of its hosts, as its files record them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mlpstorage_bench.cluster.findings import FUNCTIONS
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import exported_variables, recorded_commands

_PRELOADS = ("LD_PRELOAD", "LD_AUDIT")
_ALLOCATOR = re.compile(r"^lib(tc|je|mi|sn|rp)?malloc|^lib(hoard|tbbmalloc)", re.IGNORECASE)


def preloaded(metadata: Document) -> set[str]:
    """Return the libraries that a run preloaded, from commands, MPI options and recorded facts."""
    sources = [exported_variables(words) for words in recorded_commands(metadata)]
    sources.append(exported_variables(metadata.texts("args", "mpi_params")))
    for host in metadata.parts("system_info", "mlpstorage", "hosts"):
        for process in host.parts("processes"):
            facts = process.part("preloads")
            sources.append({name: facts.text(name.lower()) or "" for name in _PRELOADS})
    return {
        library
        for source in sources
        for name in _PRELOADS
        for library in re.split(r"[:\s]+", source.get(name, ""))
        if library
    }


@dataclass(frozen=True)
class HostChecks:
    """Verdicts of a run's own checks of its hosts."""

    findings: tuple[str, ...] = ()
    """Host, property and state of each finding."""
    functions_are_original: bool = False
    """Whether every process found the C library's own functions, whatever was preloaded."""


def host_checks(metadata: Document) -> HostChecks:
    """Return the checks that a run's metadata records; nothing of a run that made none."""
    checks = metadata.parts("system_info", "mlpstorage", "checks")
    functions = [check.text("verdict") for check in checks if check.text("check") == FUNCTIONS]
    return HostChecks(
        tuple(
            ": ".join(str(check.text(key)) for key in ("host", "check", "seen"))
            for check in checks
            if check.text("verdict") == "finding"
        ),
        bool(functions) and set(functions) == {"ok"},
    )


def is_allocator(library: str) -> bool:
    """Return whether a library allocates memory, and so does not change what I/O does."""
    return _ALLOCATOR.match(PurePosixPath(library).name) is not None
