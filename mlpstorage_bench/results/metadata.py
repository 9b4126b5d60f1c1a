"""The schema of `*_metadata.json`: the reference's fields first, ours under `mlpstorage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpstorage_bench.results.record import RunRecord


def build_metadata(
    record: RunRecord,
    directory: Path,
    output_files: Sequence[Path],
    type_fields: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a run's metadata; every field that a reader of the reference needs is there."""
    return {
        "benchmark_type": record.benchmark_type,
        "model": record.model,
        "command": record.command,
        "run_datetime": record.run_datetime,
        "end_datetime": record.end_datetime,
        "num_processes": record.num_processes,
        "accelerator": None,
        "result_dir": str(directory),
        "parameters": record.parameters,
        "override_parameters": record.override_parameters,
        "system_info": record.system_info,
        "runtime": record.runtime_s,
        "verification": None,
        "executed_command": record.executed_command,
        "command_output_files": [str(path.relative_to(directory)) for path in output_files],
        "args": record.args,
        "exec_type": record.exec_type,
        "hosts": record.hosts,
        "request_stream_sha256": record.request_stream_sha256,
        **type_fields,
        "metrics": {**metrics, **({"recorded": record.recorded} if record.recorded else {})},
        "status": record.status,
        "mlpstorage": {
            "schema_version": record.schema_version,
            "run_id": record.run_id,
            "mode": record.mode,
            "orgname": record.orgname,
            "systemname": record.systemname,
            "exit_status": record.exit_status,
            "host_count": len(record.hosts),
            "npernode": record.npernode,
            "launcher": record.launcher,
            "working_directory": record.working_directory,
            "process_id": record.process_id,
            "system_fingerprint": record.system_fingerprint,
            "notes": record.notes,
            "tests": [test.model_dump() for test in record.tests],
        },
    }
