"""Name and version of this program, and times, as files of a submission have them."""

from __future__ import annotations

import importlib.metadata
from datetime import datetime

PROGRAM = "mlpstorage_bench"


def version() -> str:
    """Return the version of this package."""
    return importlib.metadata.version(PROGRAM)


def program_and_version() -> str:
    """Return name and version of this package, which is not the reference's tool."""
    return f"{PROGRAM} {version()}"


def text_of(moment: datetime) -> str:
    """Return a moment in UTC in words of ISO 8601, in seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
