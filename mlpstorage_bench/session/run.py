"""A benchmark run: the part of a session that leaves results."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlpstorage_bench.benchmark_type import BenchmarkType
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import fingerprint, slugify
from mlpstorage_bench.results.convert import checkpoint_run, write_run
from mlpstorage_bench.results.final_status import record_final_status
from mlpstorage_bench.results.metadata import build_metadata
from mlpstorage_bench.results.record import KEY, CaseOutcome, Outcome, RunRecord, Status
from mlpstorage_bench.results.tree import RunLocation

Document = dict[str, Any]

_SEVERITY: tuple[Outcome, ...] = ("passed", "skipped", "failed")
_STATUS_OF: dict[int, Status] = {0: "passed", 2: "interrupted"}
"""A session's status by pytest's exit status; all others are failures."""


@dataclass
class Run:
    """A session's results: where they go, and what has been learnt so far.

    Every rank has one; rank 0's is written.
    """

    location: RunLocation
    started: datetime
    facts: dict[str, Any]
    """Fields of the RunRecord that are known from the start."""
    benchmark_type: BenchmarkType
    make_document: Callable[[Sequence[Any]], Document]
    """Gives pytest-benchmark's JSON for the statistics of our tests."""
    is_root: bool
    status: Status = "running"
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether all but the gate passed; None before the end."""
    _notes: list[str] = field(default_factory=list)
    _started_s: float = field(default_factory=time.monotonic)
    _ended: datetime | None = None
    _tests: dict[str, CaseOutcome] = field(default_factory=dict)
    _recorded: dict[str, Any] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    gate: dict[str, Any] | None = None
    """What the gate said, for the metadata."""
    _statistics: list[Any] = field(default_factory=list)
    _cases_written: int = 0

    @property
    def run_id(self) -> str:
        """A name for the run that no other has."""
        return str(self.facts["run_id"])

    @property
    def directory(self) -> Path:
        """The run's results directory, on rank 0's host."""
        return self.location.directory

    @property
    def metadata(self) -> dict[str, Any]:
        """The run's metadata as known so far; its files are added at the end."""
        record = self.make_record()
        type_fields = self.benchmark_type.metadata_fields(record.parameters, self.cases)
        commit_info = self.make_document(self._statistics).get("commit_info")
        return build_metadata(record, self.directory, [], type_fields, self.cases, commit_info)

    def record(self, name: str, value: Any) -> None:
        """State something for the run's metadata (`metrics.recorded`); rank 0's word counts.

        The value must be what JSON can hold; the name a word like `effective_gib_s`.
        """
        if slugify(name) != name:
            raise InvalidInputError("mlps_run.record", name, "letters, digits, '.', '_' and '-'")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"mlps_run.record {name}", value, "what JSON can hold", hint=str(error)
            ) from error
        self._recorded[name] = value

    def open_case(self, case: dict[str, Any], test: str) -> None:
        """Enter a case that begins; cases that run the same option get names of their own."""
        taken = {other["case"] for other in self.cases}
        if case["case"] in taken:
            case["case"] = slugify(f"{case['case']}-{test.rpartition('::')[2]}")
        number = 2
        while case["case"] in taken:
            case["case"] = slugify(f"{case['case']}-{number}")
            number += 1
        case["order"] = len(self.cases)
        case["test"] = test
        if self.is_root:
            seed, ranks = self.facts["parameters"]["seed"], self.facts["num_processes"]
            parts = self.benchmark_type.workload_parts(case["parameters"], seed, ranks)
            case["workload_fingerprint_parts"] = parts
            case["workload_fingerprint"] = fingerprint(parts)
        self.cases.append(case)

    def add_statistics(self, statistics: Any) -> None:
        """Take pytest-benchmark's statistics of a finished test of ours."""
        self._statistics.append(statistics)

    def note_outcome(self, test: str, outcome: Outcome, duration_s: float, message: str) -> None:
        """Take the outcome of one phase of a test; the worst phase decides."""
        before = self._tests.get(test, CaseOutcome(test=test, outcome="passed", duration_s=0.0))
        duration_s += before.duration_s
        if _SEVERITY.index(outcome) > _SEVERITY.index(before.outcome):
            after = CaseOutcome(test=test, outcome=outcome, duration_s=duration_s, message=message)
        else:
            after = before.model_copy(update={"duration_s": duration_s})
        self._tests[test] = after

    @property
    def notes(self) -> list[str]:
        """What a reader of the results has to know: of the run, then of each case."""
        return [*self._notes, *(note for case in self.cases for note in case.get("notes", ()))]

    def add_notes(self, notes: Sequence[str]) -> None:
        """Take what a reader of the results has to know."""
        self._notes += notes

    def checkpoint(self) -> None:
        """Write what is known so far, when there are cases that are not written yet.

        A run that is killed then leaves them: all its files can be made from these two.
        """
        if self.is_root and len(self.cases) > self._cases_written:
            document, record = self._document()
            checkpoint_run(document, record, self.location, self.benchmark_type)
            self._cases_written = len(self.cases)

    def record_final_status(self, exit_status: int) -> None:
        """State in the metadata that the session ends early: there may be no time for more.

        Open MPI's launcher, told to end, gives its ranks a third of a second.
        """
        if self.is_root:
            status = _STATUS_OF.get(exit_status, "failed")
            record_final_status(self.location.metadata_path, status, exit_status)

    def finish(self, exit_status: int, *, tests_passed: bool = False) -> dict[str, Any] | None:
        """Note how the session ended, leave its results, and return its metadata on rank 0.

        `tests_passed` tells of a status that the gate alone has called for.
        """
        self.status = _STATUS_OF.get(exit_status, "failed")
        self.exit_status = exit_status
        self.tests_passed = tests_passed or self.status == "passed"
        self._ended = datetime.now().astimezone()
        return self.write()

    def make_record(self, timed: Sequence[str] = ()) -> RunRecord:
        """Return what is known so far; `timed` names the tests that pytest-benchmark lists."""
        return RunRecord(
            **self.facts,
            status=self.status,
            exit_status=self.exit_status,
            tests_passed=self.tests_passed,
            process_id=os.getpid(),
            timestamp=self.location.timestamp,
            run_datetime=self.started.isoformat(),
            end_datetime=self._ended.isoformat() if self._ended else None,
            runtime_s=time.monotonic() - self._started_s,
            notes=self.notes,
            tests=list(self._tests.values()),
            recorded=self._recorded,
            gate=self.gate,
            untimed_cases=[case for case in self.cases if case["test"] not in set(timed)],
        )

    def write(self) -> dict[str, Any] | None:
        """Write every file of the run, as far as it is known now; return its metadata on rank 0."""
        if not self.is_root:
            return None
        document, record = self._document()
        return write_run(document, record, self.location, self.benchmark_type)

    def _document(self) -> tuple[Document, RunRecord]:
        """Return pytest-benchmark's JSON with our record in it, and the record."""
        document = self.make_document(self._statistics)
        timed = [benchmark["fullname"] for benchmark in document["benchmarks"]]
        record = self.make_record(timed)
        document[KEY] = record.model_dump(mode="json")
        return document, record
