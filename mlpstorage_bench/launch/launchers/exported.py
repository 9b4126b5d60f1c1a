"""Environment variables that are passed to other hosts: a fixed list, without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlpstorage_bench.redaction.commands import PUBLIC_PREFIXES, PUBLIC_VARIABLES


def exported_names(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of the set variables that are passed on."""
    names = os.environ if environ is None else environ
    return sorted(
        name for name in names if name in PUBLIC_VARIABLES or name.startswith(PUBLIC_PREFIXES)
    )
