"""Schema of `*_metadata.json`: the reference's fields first, additions under `mlpstorage`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import TypeFields
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json, Pauses, TrialRecord
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.metric.values import numbers_of
from mlpstorage_bench.redaction.text import redact_json
from mlpstorage_bench.results.exit_status import exit_status_of
from mlpstorage_bench.results.record import RunRecord
from mlpstorage_bench.results.verification import Verification


def build_metadata(
    record: RunRecord,
    directory: Path,
    output_files: Sequence[Path],
    of_type: TypeFields,
    cases: Sequence[CaseRecord] = (),
    commit_info: Json | None = None,
    declared: Sequence[AnyMetric] = (),
    verification: Verification = Verification(None),  # noqa: B008 - it is frozen
) -> dict[str, object]:
    """Return a run's metadata, with every field that the reference's readers need, and no secrets.

    `output_files` are paths below the directory. `commit_info` is pytest-benchmark's: the commit,
    branch and state of the tests' repository.
    `declared` are the benchmark type's metrics, which the metadata describes.
    """
    metrics = {case.case: case.metrics for case in cases}
    gate = None if record.gate is None else record.gate.model_dump(mode="json")
    logs = record.output_logs
    command = {
        "command": record.executed_command,
        **{name: None if logs is None else f"{logs}.{name}.log" for name in ("stdout", "stderr")},
    }
    metadata: dict[str, object] = {
        "benchmark_type": record.benchmark_type,
        "model": record.model,
        "command": record.command,
        "run_datetime": record.timestamp,
        "num_processes": record.num_processes,
        "accelerator": None,
        "result_dir": str(directory),
        "parameters": of_type.parameters,
        "override_parameters": record.override_parameters,
        "system_info": record.system_info,
        **_snapshots(record),
        "runtime": record.runtime_s,
        "invocation_start_time": _local(record.run_datetime),
        "invocation_end_time": _local(record.end_datetime),
        "verification": verification.word,
        "exit_status": exit_status_of(record, cases),
        "executed_command": record.executed_command,
        "command_output_files": [command],
        "args": {**record.args, **of_type.arguments},
        **of_type.fields,
        "exec_type": record.exec_type,
        "hosts": record.hosts,
        "mlpstorage": {
            "schema_version": record.schema_version,
            "run_id": record.run_id,
            **({} if record.session_id is None else {"session_id": record.session_id}),
            "status": record.status,
            "start_datetime": record.run_datetime,
            "end_datetime": record.end_datetime,
            "mode": record.mode,
            "orgname": record.orgname,
            "systemname": record.systemname,
            "exit_status": record.exit_status,
            "tests_passed": record.tests_passed,
            "host_count": len(record.hosts),
            "npernode": record.npernode,
            "launcher": record.launcher,
            "working_directory": record.working_directory,
            "invocation": None if record.invocation is None else record.invocation.model_dump(),
            "tags": record.tags,
            "commit_info": None if commit_info is None else dict(commit_info),
            "process_id": record.process_id,
            "process_start": record.process_start,
            "system_fingerprint": record.system_fingerprint,
            "system_fingerprint_parts": record.system_fingerprint_parts,
            "options_set": record.user_set,
            **({} if record.settings is None else {"settings": record.settings}),
            **({"planned_cases": record.planned_cases} if record.planned_cases else {}),
            "parameters": record.parameters,
            "request_stream_sha256": record.request_stream_sha256,
            "metrics": {**metrics, **({"recorded": record.recorded} if record.recorded else {})},
            "metric_descriptions": {
                **{m.name: m.description.to_json() for m in declared},
                **{name: one.to_json() for name, one in record.recorded_descriptions.items()},
            },
            "filesystems": (
                None if record.filesystems is None else record.filesystems.model_dump()
            ),
            "sequence": _sequence(record.pauses, cases),
            **({} if record.datasize is None else {"datasize": record.datasize}),
            "cases": {case.case: _case_facts(case) for case in cases},
            "files": [str(path) for path in output_files],
            "not_valid_because": list(verification.not_valid_because),
            "conclusions": list(of_type.conclusions),
            **({"plugins": record.plugins} if record.plugins else {}),
            "notes": record.notes,
            "tests": [test.model_dump() for test in record.tests],
            "gate": gate,
            "verdicts": [] if gate is None else gate["verdicts"],
            **({} if record.resumed is None else {"resumed": record.resumed.model_dump()}),
            **({} if record.follows is None else {"follows": record.follows.model_dump()}),
        },
    }
    return redact_json(metadata)


def _snapshots(record: RunRecord) -> Json:
    """Return the hosts before and after the run, with their counters; nothing before its end."""
    before, after = record.system_info, record.system_info_at_end
    if before is None or after is None:
        return {}
    method = before.get("collection_method")
    return {"cluster_snapshots": {"start": before, "end": after, "collection_method": method}}


def _local(time: str | None) -> str | None:
    """Return a time of ISO 8601 without its offset, as the reference writes it."""
    return None if time is None else datetime.fromisoformat(time).replace(tzinfo=None).isoformat()


def _sequence(pauses: Pauses | None, cases: Sequence[CaseRecord]) -> Json | None:
    """Return the pauses around trials, and the steps that ran; None in old records.

    The reference's metadata has a place for the delay between options alone.
    """
    if pauses is None:
        return None
    return {
        "delay_before_trial_s": pauses.before_trial_s,
        "delay_after_trial_s": pauses.after_trial_s,
        "inter_option_delay_s": pauses.between_cases_s,
        "steps": [
            {"case": case.case, "option": case.option, **asdict(step)}
            for case in cases
            for step in case.steps
        ],
    }


def _case_facts(case: CaseRecord) -> Json:
    """Return the facts of a case for later comparisons: its workload, and each trial's numbers.

    A failed trial has a key of its own, because it is excluded from comparisons.
    """
    failed = case.failed_trial
    failed_facts = None if failed is None else {**_trial_facts(failed), "failure": failed.failure}
    return {
        "test": case.test,
        "workload_fingerprint": case.workload_fingerprint,
        "workload_fingerprint_parts": case.workload_fingerprint_parts,
        "trials": [_trial_facts(trial) for trial in case.trials],
        **_objectives(case),
        **({"facts": case.facts} if case.facts else {}),
        **({} if failed_facts is None else {"failed_trial": failed_facts}),
    }


def _objectives(case: CaseRecord) -> Json:
    """Return the case's objectives; nothing if there are none."""
    found = [{**asdict(one), "is_met": one.is_met} for one in case.objectives]
    return {"objectives": found} if found else {}


def _trial_facts(trial: TrialRecord) -> Json:
    numbers = numbers_of(trial.metrics)
    conditions = trial.conditions
    return {
        "trial": trial.trial,
        "metrics": {name: value for name, value in numbers.items() if name != "trial"},
        **({} if conditions is None else {"conditions": asdict(conditions)}),
        **({} if trial.time_series is None else {"time_series": asdict(trial.time_series)}),
    }
