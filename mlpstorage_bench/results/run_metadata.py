"""Metadata of a run as readers see it: files of ours and of the reference are validated here alone.

`results.metadata` writes such files. Only fields that are read are declared. In all of them, null
stands for a field that is absent. The reference's files have no `mlpstorage` part.
"""

from __future__ import annotations

import reprlib
from datetime import datetime
from typing import Annotated, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError

from mlpstorage_bench.metric.values import Values, numbers_of
from mlpstorage_bench.results.metadata_parts import (
    CaseFacts,
    CommandOutput,
    Commit,
    Count,
    GateFacts,
    Invocation,
    MetricFacts,
    Number,
    Object,
    OutcomeFacts,
    Part,
    SystemInfo,
    VerdictFacts,
)
from mlpstorage_bench.results.parts_record import ResumedRecord

REQUIRED = ("benchmark_type", "run_datetime", "num_processes", "parameters")
"""Fields that the metadata of every run has, of any benchmark type."""
_PARTS_OF_START = 3
"""Number of words that say when and where a process started."""
_MOST_PROCESS_IDS = (1 << 31) - 1


class NoMetadataError(Exception):
    """JSON is not the metadata of a run; the text is the reason."""


def moment(text: str) -> datetime:
    """Return the time of ISO 8601 or the reference's YYYYMMDD_HHMMSS; ValueError for other text.

    Without an offset it is local time.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = datetime.strptime(text, "%Y%m%d_%H%M%S")  # noqa: DTZ007 - made local below
    try:
        return time.astimezone()
    except OverflowError as error:
        raise ValueError(f"{text} is beyond the calendar") from error


def _checked_moment(text: str) -> str:
    moment(text)
    return text


def _process_id(value: object) -> object:
    """Return a number that may be that of a process; None for others."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value <= _MOST_PROCESS_IDS else None  # type: ignore[operator]  # an int, as just looked


def _process_start(value: object) -> object:
    """Return a process's start; None for what has another form."""
    is_start = isinstance(value, str) and len(value.split(" ")) == _PARTS_OF_START
    return value if is_start else None


_Moment = Annotated[str, AfterValidator(_checked_moment)]


class OwnFacts(Part):
    """Our additions to the reference's fields."""

    schema_version: int = 1
    run_id: str | None = None
    session_id: str | None = None
    """Joins the runs of one session; None in old metadata."""
    status: str = "-"
    start_datetime: _Moment | None = None
    """ISO 8601 with offset."""
    end_datetime: _Moment | None = None
    """The same; None for a run that has not ended, or was killed."""
    mode: str | None = None
    orgname: str | None = None
    systemname: str | None = None
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether the tests passed, regardless of the gate; None in old metadata."""
    working_directory: str | None = None
    invocation: Invocation | None = None
    tags: tuple[str, ...] = ()
    commit_info: Commit = Commit()
    process_id: Annotated[int | None, BeforeValidator(_process_id)] = None
    """Process of rank 0."""
    process_start: Annotated[str | None, BeforeValidator(_process_start)] = None
    """When and where it started (`process.identity.start_of`); None in old metadata."""
    system_fingerprint: str | None = None
    system_fingerprint_parts: Object = Field(default_factory=dict)
    parameters: Object = Field(default_factory=dict)
    """The plan's, of all workloads."""
    planned_cases: tuple[str, ...] = ()
    """The cases of the plan, in its order; none in old metadata."""
    settings: Object | None = None
    """Options, profile and parameters that the user set for its type; None in old metadata."""
    request_stream_sha256: tuple[str, ...] = ()
    metrics: Object = Field(default_factory=dict)
    """Values by case, None for a case that failed."""
    metric_descriptions: dict[str, MetricFacts] = Field(default_factory=dict)
    """Descriptions of metrics, in the order of tables."""
    files: tuple[str, ...] = ()
    """The run's files, below its directory."""
    cases: dict[str, CaseFacts | None] = Field(default_factory=dict)
    not_valid_because: tuple[str, ...] = ()
    """Reasons for which a closed run is INVALID."""
    conclusions: tuple[str, ...] = ()
    """Sentences on what the results say; empty in metadata of earlier versions."""
    plugins: dict[str, Object] = Field(default_factory=dict)
    """Facts that users' plugins added, by plugin."""
    notes: tuple[str, ...] = ()
    tests: tuple[OutcomeFacts, ...] = ()
    gate: GateFacts = GateFacts()
    verdicts: tuple[VerdictFacts, ...] = ()
    resumed: ResumedRecord | None = None
    """Parts of a run that was interrupted and resumed; None for a run of one part."""


class ReferenceFacts(OwnFacts):
    """Facts of a run of the reference, from its place and its files, in the form of ours."""

    host_count: Count | None = None
    """Number of hosts, which are not always named."""
    ranks_found: int | None = None
    """Ranks whose results were found, in the trial with the fewest; None if none is missing."""


class RunMetadata(Part):
    """The metadata of a run."""

    benchmark_type: str
    run_datetime: _Moment
    """ISO 8601, or the reference's YYYYMMDD_HHMMSS."""
    num_processes: Count | None = None
    """Number of ranks; None in runs of the reference that do not state it."""
    parameters: Object = Field(default_factory=dict)
    model: str = "-"
    command: str = "-"
    runtime: Number = None
    """Seconds."""
    verification: str | None = None
    """CLOSED, OPEN or INVALID; None for a closed run that has not ended, or was not checked."""
    executed_command: str | None = None
    result_dir: str | None = None
    hosts: tuple[str, ...] = ()
    override_parameters: Object = Field(default_factory=dict)
    system_info: SystemInfo = SystemInfo()
    command_output_files: tuple[str | CommandOutput, ...] = ()
    metrics: Object = Field(default_factory=dict)
    """Values by metric, in files of the reference."""
    mlpstorage: OwnFacts | None = None
    """None in the reference's files."""
    _reference: ReferenceFacts | None = PrivateAttr(default=None)

    @property
    def own(self) -> OwnFacts:
        """Our additions; of a run of the reference, what is known of it in their form."""
        return self.mlpstorage or self._reference or _NO_ADDITIONS

    @property
    def is_of_reference(self) -> bool:
        """Whether another program than this project wrote it."""
        return self.mlpstorage is None

    @property
    def reference(self) -> ReferenceFacts | None:
        """Facts that a run of the reference has beside its metadata."""
        return self._reference

    def with_reference(self, facts: ReferenceFacts, changed: Object) -> RunMetadata:
        """Return this metadata of a run of the reference with more facts, and changed fields."""
        copy = self.model_copy(update=changed)
        copy._reference = facts  # noqa: SLF001 - of its own class
        return copy

    @property
    def started(self) -> datetime:
        """The run's start."""
        return moment(self.own.start_datetime or self.run_datetime)

    @property
    def effective_parameters(self) -> Object:
        """Parameters of all workloads; of the reference's files, all that there are."""
        return self.own.parameters or self.parameters

    @property
    def settings_by_user(self) -> Object:
        """Everything that the user set; in old metadata, and of the reference, the parameters."""
        return self.override_parameters if self.own.settings is None else self.own.settings

    @property
    def all_metrics(self) -> Object:
        """Values by case, None for a case that failed; of the reference, values by metric."""
        return self.metrics if self.mlpstorage is None else self.mlpstorage.metrics

    @property
    def numbers(self) -> dict[str, float]:
        """Metrics of the whole run whose value is one number: the reference has no cases."""
        return numbers_of(self.all_metrics)

    @property
    def values_by_case(self) -> dict[str, Values]:
        """Metrics of each case over all its trials; a case that failed has none."""
        return {name: dict(one) for name, one in self.all_metrics.items() if isinstance(one, dict)}

    @property
    def interrupted_cases(self) -> frozenset[str]:
        """Cases without metrics of a run that was stopped, whose tests have not failed."""
        if self.own.status != "interrupted":
            return frozenset()
        failed = {one.test for one in self.own.tests if one.outcome == "failed"}
        measured = self.values_by_case.keys()
        return frozenset(
            name
            for name, case in self.cases.items()
            if name not in measured and case.test not in failed
        )

    @property
    def cases(self) -> dict[str, CaseFacts]:
        """The cases of the run."""
        return {name: case or CaseFacts() for name, case in self.own.cases.items()}


_NO_ADDITIONS = OwnFacts()


def metadata_of(content: object) -> RunMetadata:
    """Return the metadata that JSON of the current schema holds; NoMetadataError if it is none."""
    if not isinstance(content, dict):
        raise NoMetadataError("no run's metadata: it is not an object")
    for name in REQUIRED:
        if name not in content:
            raise NoMetadataError(f"no run's metadata: it has no {name!r}")
    try:
        return RunMetadata.model_validate(content)
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    first, *more = error.errors(include_url=False)
    where = ".".join(str(part) for part in first["loc"])
    given = reprlib.repr(first["input"])
    accepted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    for of_python, of_json in (("dictionary", "object"), ("tuple", "list")):
        accepted = accepted.replace(of_python, of_json)
    others = f"; and {len(more)} more" if more else ""
    raise NoMetadataError(
        f"no run's metadata: {where}: got {given}; accepted: {accepted}{others}"
    ) from error
