"""What the metadata of a run says that could not write its own end."""

from __future__ import annotations

import json
from pathlib import Path

from mlpstorage_bench.results.tree import write_json


def record_final_status(path: Path, status: str, exit_status: int, reason: str = "") -> bool:
    """State in a run's metadata how it ended, unless its end is there; return whether it was not.

    What it had written of its results before stays. A run that is about to end says so first
    without a reason: whoever outlives it may know better.
    """
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False  # it lies on another host, or was never written
    if metadata.get("end_datetime") is not None:
        return False
    metadata["status"] = status
    own = metadata["mlpstorage"]
    own["exit_status"] = exit_status
    if reason:
        own["notes"] = [*own["notes"], f"the run did not come to its end: {reason}"]
    write_json(path, metadata)
    return True
