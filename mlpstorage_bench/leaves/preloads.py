"""Libraries that a run preloaded, as its files record them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import exported_variables, recorded_commands

_PRELOADS = ("LD_PRELOAD", "LD_AUDIT")
_ALLOCATOR = re.compile(r"^lib(tc|je|mi|sn|rp)?malloc|^lib(hoard|tbbmalloc)", re.IGNORECASE)


def preloaded(metadata: Document) -> set[str]:
    """Return the libraries that a run preloaded, from commands, MPI options and recorded facts."""
    sources = [exported_variables(words) for words in recorded_commands(metadata)]
    sources.append(exported_variables(metadata.texts("args", "mpi_params")))
    facts = metadata.part("system_info", "mlpstorage")
    sources.append({name: facts.text(name.lower()) or "" for name in _PRELOADS})
    return {
        library
        for source in sources
        for name in _PRELOADS
        for library in re.split(r"[:\s]+", source.get(name, ""))
        if library
    }


def is_allocator(library: str) -> bool:
    """Return whether a library allocates memory, and so does not change what I/O does."""
    return _ALLOCATOR.match(PurePosixPath(library).name) is not None
