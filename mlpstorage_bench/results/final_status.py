"""The final status of a run that could not write its own metadata to the end."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.results.json_files import read_json
from mlpstorage_bench.results.tree import write_json
from mlpstorage_bench.results.verification import CLOSED_MODE, DID_NOT_COMPLETE


def record_final_status(path: Path, status: str, exit_status: int, reason: str = "") -> bool:
    """Write a run's final status to its metadata; return False if it has one or is not here.

    Results that the run wrote before are kept, and the end of a run whose session went on. A run
    that is about to end writes its status without a reason, so that a process that ends later can
    add one.
    """
    try:
        metadata = read_json(InputFile("metadata", path))
    except InvalidFileError:
        return False  # it is on another host, or was never written
    own = metadata.get("mlpstorage") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(own, dict):
        return False  # it is not what the run has written
    if own.get("end_datetime") is not None and own.get("status") != "running":
        return False
    ended = {**own, "status": status, "exit_status": exit_status}
    notes = own.get("notes")
    if reason:
        earlier = notes if isinstance(notes, list) else []
        ended["notes"] = [*earlier, f"{DID_NOT_COMPLETE}: {reason}"]
    verification = metadata.get("verification")
    if own.get("mode") == CLOSED_MODE:
        verification = "INVALID"
        found = own.get("not_valid_because")
        earlier = found if isinstance(found, list) else []
        ended["not_valid_because"] = list(dict.fromkeys([*earlier, DID_NOT_COMPLETE]))
    ended_run = {
        "verification": verification,
        "exit_status": exit_status,
        "mlpstorage": ended,
    }
    write_json(path, {**metadata, **ended_run})
    return True
