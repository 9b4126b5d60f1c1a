"""The final status of a run that could not write its own metadata to the end."""

from __future__ import annotations

import json
from pathlib import Path

from mlpstorage_bench.results.tree import write_json


def record_final_status(path: Path, status: str, exit_status: int, reason: str = "") -> bool:
    """Write a run's final status to its metadata; return False if it has one or is not here.

    Results that the run wrote before are kept. A run that is about to end writes its status
    without a reason, so that a process that ends later can add one.
    """
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False  # it is on another host, or was never written
    if metadata.get("end_datetime") is not None:
        return False
    metadata["status"] = status
    own = metadata["mlpstorage"]
    own["exit_status"] = exit_status
    if reason:
        own["notes"] = [*own["notes"], f"the run did not complete: {reason}"]
    write_json(path, metadata)
    return True
