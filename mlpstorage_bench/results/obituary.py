"""What the metadata of a run says that could not write its own end."""

from __future__ import annotations

import json
from pathlib import Path

from mlpstorage_bench.results.tree import write_json


def note_end(path: Path, status: str, exit_status: int, reason: str) -> bool:
    """State in a run's metadata how it ended, unless it has done so itself; return whether it did.

    What it had written of its results before stays.
    """
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False  # it lies on another host, or was never written
    if metadata.get("status") != "running":
        return False
    metadata["status"] = status
    own = metadata["mlpstorage"]
    own["exit_status"] = exit_status
    own["notes"] = [*own["notes"], f"the run did not come to its end: {reason}"]
    write_json(path, metadata)
    return True
