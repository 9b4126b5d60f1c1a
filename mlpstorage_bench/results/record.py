"""Records of a session and its cases inside pytest-benchmark's JSON, under the key `mlpstorage`.

With them, metadata, summary and per-rank results can be made from that JSON alone.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_serializer

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json, Pauses
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.results.gate_record import GateRecord
from mlpstorage_bench.results.metadata_parts import MetricFacts
from mlpstorage_bench.results.parts_record import FollowedRecord, ResumedRecord

KEY = "mlpstorage"
RUNS_KEY = "runs"
"""Below KEY where a session had several runs: the record of each, and the tests of its cases."""
SCHEMA_VERSION: Literal[3] = 3
_CASE = TypeAdapter(CaseRecord)
_MOST_PROBLEMS = 10

Outcome = Literal["passed", "failed", "skipped"]
Status = Literal["running", "passed", "failed", "interrupted"]
ExecType = Literal["mpi", "local"]


class CaseOutcome(BaseModel):
    """The outcome of one test of the session."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: str
    outcome: Outcome
    duration_s: float
    message: str = ""


class Invocation(BaseModel):
    """The command that started a session, to start it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str]
    """Arguments of pytest, or of the launcher that the user started."""
    environment: dict[str, str | None]
    """Environment variables that change the command's behaviour; None for those not set."""


class Filesystem(BaseModel):
    """A directory of a run and the filesystem that it lies on; None for unknown values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    mount_point: str | None
    fstype: str | None
    device: str | None
    device_number: int
    """The number by which the host's kernel tells filesystems apart."""

    def __str__(self) -> str:
        return f"{self.path}: {self.fstype} on {self.device}, mounted at {self.mount_point}"


class Filesystems(BaseModel):
    """The filesystems of cache and results on rank 0's host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    cache: Filesystem
    results: Filesystem
    same_filesystem: bool

    @property
    def objection(self) -> str:
        """The reason for which the closed division does not accept the run; '' if it does."""
        if not self.same_filesystem:
            return ""
        return (
            f"cache and results lie on one filesystem ({self.cache}; {self.results}): rule 6.4.1 "
            "demands two"
        )


class RunFacts(BaseModel):
    """The part of a run's record that is known at the run's start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    session_id: str | None = None
    """Joins the runs of one session; None in records of earlier versions, and of commands."""
    benchmark_type: str
    model: str
    command: str
    mode: str
    orgname: str
    systemname: str
    num_processes: int
    npernode: int
    hosts: list[str]
    exec_type: ExecType
    launcher: str | None
    executed_command: str
    working_directory: str
    invocation: Invocation | None = None
    """None if the launcher's command is unknown."""
    tags: list[str] = []
    args: Json
    """Arguments under the reference's names."""
    user_set: Json = {}
    """Options that the user set, by name."""
    settings: Json | None = None
    """The same with profile and parameters, as they are for the run's type; None in old records."""
    planned_cases: list[str] = []
    """The cases of the plan, in its order; none in old records."""
    parameters: Json
    override_parameters: Json
    system_info: Json | None
    system_fingerprint: str | None
    system_fingerprint_parts: Json | None = None
    """Values from which the fingerprint is computed."""
    request_stream_sha256: list[str]
    """Hash of each rank's requests."""
    code_image: str | None = None
    """Pointer to the image of this package's code; None in old records."""
    pauses: Pauses | None = None
    """None in records of earlier versions."""
    filesystems: Filesystems | None = None
    """None on ranks other than 0, and in records of earlier versions."""
    output_logs: str | None = None
    """Beginning of the paths of the launch's logs; None if there are none."""


class RunRecord(RunFacts):
    """Record of one session: facts known at its start, outcomes and status."""

    schema_version: Literal[3] = SCHEMA_VERSION
    status: Status
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether the tests passed, regardless of the gate; None before the end and in old records."""
    timestamp: str
    """The run's start as YYYYMMDD_HHMMSS, which names its directory."""
    run_datetime: str
    """ISO 8601 with offset."""
    end_datetime: str | None = None
    runtime_s: float
    process_id: int
    """Process ID of rank 0: distinguishes a running run from one that was killed."""
    process_start: str | None = None
    """When and where that process started, as later processes get the same ID; None if unknown."""
    notes: list[str]
    tests: list[CaseOutcome]
    recorded: Json
    """Values that tests gave to `mlps_run.record`."""
    recorded_descriptions: dict[str, MetricFacts] = {}
    """Unit and direction of each of these values."""
    plugins: dict[str, Json] = {}
    """Facts that hooks of users' plugins returned, by plugin."""
    gate: GateRecord | None = None
    """The gate's result; None if the gate is off."""
    system_info_at_end: Json | None = None
    """The hosts at the run's end, with their counters; None if the run did not come to its end."""
    resumed: ResumedRecord | None = None
    """None for a run of one part."""
    follows: FollowedRecord | None = None
    """The run of its session that it has to follow; None for most runs."""
    datasize: Json | None = None
    """The answer to `--mlps-datasize`; None in a run of trials."""
    untimed_cases: list[CaseRecord]
    """Cases that pytest-benchmark does not list: they failed, or it was disabled."""

    @field_serializer("recorded_descriptions")
    def _without_defaults(self, described: dict[str, MetricFacts]) -> Json:
        return {name: facts.to_json() for name, facts in described.items()}


def parse_record(source: str, content: object) -> RunRecord:
    """Return the record in a pytest-benchmark document; InvalidInputError without a usable one."""
    if content is None:
        raise InvalidInputError(
            "--mlps-convert",
            source,
            "JSON that pytest-benchmark wrote in a session of mlpstorage_bench",
            hint=f"It has no {KEY!r} record",
        )
    try:
        return RunRecord.model_validate(content)
    except ValidationError as error:
        raise InvalidInputError(
            "--mlps-convert",
            source,
            f"a record of schema version {SCHEMA_VERSION}",
            hint=problems_of(error),
        ) from error


def parse_case(source: str, content: object) -> CaseRecord:
    """Return the record of a case in a pytest-benchmark document; InvalidInputError if unusable."""
    try:
        return _CASE.validate_python(content)
    except ValidationError as error:
        raise InvalidInputError(
            f"extra_info.{KEY} of {source}",
            type(content).__name__,
            f"a case of schema version {SCHEMA_VERSION}",
            hint=problems_of(error),
        ) from error


def problems_of(error: ValidationError) -> str:
    """Return the first problems of a validation, each with its place."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False)[:_MOST_PROBLEMS]
    )
