"""What of the environment goes along to other hosts: a list, so that no secret does."""

from __future__ import annotations

import os
from collections.abc import Mapping

FORWARDED = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR"),
        *("LANG", "LC_ALL", "COLUMNS", "TERM", "NO_COLOR"),
        *("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"),
        *("MLPERF_RESULTS_DIR", "MLPERF_SYSTEMNAME"),
    }
)
"""Variables that decide what a rank runs, and how it shows it."""

FORWARDED_PREFIXES = (
    *("MLPS_", "PYTHON"),
    *("MPI4PY_", "OMPI_MCA_", "MPICH_", "MPIR_CVAR_", "CRAY_", "FI_", "UCX_"),
)
"""Beginnings of names: our own and Python's, and what MPI libraries and their transports read.

Ranks of one job that choose their transports differently do not find each other.
"""


def exported_names(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the variables that go along, of those that are set."""
    names = os.environ if environ is None else environ
    return sorted(
        name for name in names if name in FORWARDED or name.startswith(FORWARDED_PREFIXES)
    )
