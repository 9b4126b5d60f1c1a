"""What a session says of itself inside pytest-benchmark's JSON, under the key `mlpstorage`.

With it the JSON is complete: metadata, summary and per-rank results can be made from it any time.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mlpstorage_bench.errors import InvalidInputError

KEY = "mlpstorage"
SCHEMA_VERSION: Literal[1] = 1

Outcome = Literal["passed", "failed", "skipped"]
Status = Literal["running", "passed", "failed", "interrupted"]


class CaseOutcome(BaseModel):
    """How one test of the session ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: str
    outcome: Outcome
    duration_s: float
    message: str = ""


class Invocation(BaseModel):
    """How a session was started, so that it can be again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str]
    """An argument vector: pytest's, or that of the launcher which the user started."""
    environment: dict[str, str | None]
    """Variables that change what the command does; None for those that were not set."""


class RunRecord(BaseModel):
    """One session: who ran what, where, how, and how it ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    status: Status
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether all but the gate passed; None of a run that has not ended, and of old records."""
    benchmark_type: str
    model: str
    command: str
    mode: str
    orgname: str
    systemname: str
    timestamp: str
    """The run's start as YYYYMMDD_HHMMSS, which names its directory."""
    run_datetime: str
    """ISO 8601 with offset."""
    end_datetime: str | None = None
    runtime_s: float
    num_processes: int
    npernode: int
    hosts: list[str]
    exec_type: Literal["mpi", "local"]
    launcher: str | None
    executed_command: str
    working_directory: str
    invocation: Invocation | None = None
    """None where the launcher's command cannot be known from here."""
    tags: list[str] = []
    process_id: int
    """Of rank 0, to tell a run that is under way from one that was killed."""
    args: dict[str, Any]
    parameters: dict[str, Any]
    override_parameters: dict[str, Any]
    system_info: dict[str, Any] | None
    system_fingerprint: str | None
    system_fingerprint_parts: dict[str, Any] | None = None
    """What the fingerprint is a digest of."""
    request_stream_sha256: list[str]
    notes: list[str]
    tests: list[CaseOutcome]
    recorded: dict[str, Any]
    """What tests stated with `mlps_run.record`."""
    gate: dict[str, Any] | None = None
    """What the gate said of the run, where it was asked."""
    untimed_cases: list[dict[str, Any]]
    """Cases that pytest-benchmark does not list: they failed, or it was disabled."""


def parse_record(source: str, document: dict[str, Any]) -> RunRecord:
    """Return the record in a pytest-benchmark document; InvalidInputError without a usable one."""
    if KEY not in document:
        raise InvalidInputError(
            "--mlps-convert",
            source,
            "JSON that pytest-benchmark wrote in a session of mlpstorage_bench",
            hint=f"It has no {KEY!r} record",
        )
    try:
        return RunRecord.model_validate(document[KEY])
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()[:10]
        )
        raise InvalidInputError(
            "--mlps-convert", source, f"a record of schema version {SCHEMA_VERSION}", hint=problems
        ) from error
