"""The contents of a benchmark run so far: its facts, cases, notes and status."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlpstorage_bench.benchmark_type.interface import BenchmarkType, Standing
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, Json
from mlpstorage_bench.metric.declaration import Better
from mlpstorage_bench.process.identity import start_of
from mlpstorage_bench.results.benchmark_document import BenchmarkDocument
from mlpstorage_bench.results.gate_record import GateRecord
from mlpstorage_bench.results.kept_trials import KeptTrials
from mlpstorage_bench.results.metadata import build_metadata
from mlpstorage_bench.results.metadata_parts import IntegrityCheck
from mlpstorage_bench.results.parts_record import FollowedRecord
from mlpstorage_bench.results.record import RunFacts, RunRecord, Status
from mlpstorage_bench.results.tree import RunLocation
from mlpstorage_bench.results.verification import (
    Verification,
    integrity_checks,
    unproven,
    verification_of,
)
from mlpstorage_bench.session.case_log import CaseLog
from mlpstorage_bench.session.junit import figures_as_properties
from mlpstorage_bench.session.recorded_values import RecordedValues
from mlpstorage_bench.session.resumption import Resumption
from mlpstorage_bench.session.run_times import RunTimes


@dataclass
class RunContents:
    """The results of a run so far, from which its record is made. Every rank has one."""

    location: RunLocation
    facts: RunFacts
    seed: int
    """The plan's seed, which is part of a case's fingerprint."""
    benchmark_type: BenchmarkType
    make_document: Callable[[Sequence[object]], BenchmarkDocument]
    """Returns pytest-benchmark's JSON for the statistics of this package's tests."""
    times: RunTimes
    """When it began and ended, and its parts."""
    is_root: bool
    is_resumed: bool = False
    """Whether this session continues the run; the same on every rank."""
    follows: FollowedRecord | None = None
    """The run of this session that this one has to follow, by the rules."""
    status: Status = "running"
    exit_status: int | None = None
    tests_passed: bool | None = None
    """Whether the tests passed, regardless of the gate; None before the end."""
    _notes: list[str] = field(default_factory=list)
    gate: GateRecord | None = None
    """The gate's result, for the metadata."""
    plugin_facts: dict[str, Json] = field(default_factory=dict)
    """Facts that users' hooks returned, by plugin, for the metadata."""
    system_info_at_end: Json | None = None
    """The hosts at the run's end; None before it."""
    log: CaseLog = field(init=False)
    """Cases and tests so far."""
    _recorded: RecordedValues = field(init=False)
    _kept: KeptTrials = field(init=False)
    """Finished trials in the run's directory."""

    def __post_init__(self) -> None:
        self._kept = KeptTrials(self.directory)
        self._recorded = RecordedValues(self.benchmark_type.metrics)
        self.log = CaseLog(
            self.benchmark_type,
            self.seed,
            self.facts.num_processes,
            self.facts.pauses or NO_PAUSES,
            self._kept if self.is_root else None,
        )

    @property
    def resumption(self) -> Resumption | None:
        """How this session continues the run, on rank 0; None for a new one."""
        return self.times.resumption

    @property
    def started(self) -> datetime:
        """Start of the run: of its first part, where it was resumed."""
        return self.times.started

    @property
    def run_id(self) -> str:
        """The unique name of the run."""
        return self.facts.run_id

    @property
    def directory(self) -> Path:
        """The run's results directory, on rank 0's host."""
        return self.location.directory

    @property
    def metadata(self) -> dict[str, Any]:
        """The run's metadata as known so far; its files are added at the end."""
        record = self.make_record()
        of_type = self.benchmark_type.metadata_fields(record.parameters, self.log.cases)
        commit_info = self.make_document(self.log.statistics).commit_info
        metrics = self.benchmark_type.metrics
        return build_metadata(
            record,
            self.directory,
            [],
            of_type,
            self.log.cases,
            commit_info,
            metrics,
            verification_of(record, self._standing),
        )

    @property
    def verification(self) -> Verification:
        """Whether the run counts as one of its division, as known so far."""
        return verification_of(self.make_record(), self._standing)

    @property
    def checks(self) -> tuple[IntegrityCheck, ...]:
        """Checks of the run's hosts, on rank 0."""
        return integrity_checks(self.make_record())

    @property
    def unproven(self) -> tuple[str, ...]:
        """Properties of the run that could not be measured, in words."""
        return tuple(unproven(self.make_record(), self._standing))

    @property
    def _standing(self) -> Standing:
        facts = self.facts
        return self.benchmark_type.standing(self.log.cases, facts.parameters, facts.num_processes)

    def record(
        self, name: str, value: object, *, unit: str = "", better: Better | None = None
    ) -> None:
        """Add rank 0's value to the run's metadata, as `mlpstorage.metrics.recorded`.

        The value must be valid in JSON, and the name a word like `effective_gib_s`. The history
        shows the unit (`GiB/s`; '' for a number of things), and whether `higher` or `lower` values
        are better.
        """
        self._recorded.add(name, value, unit, better)

    def figures_of(self, test: str) -> list[tuple[str, object]]:
        """Return the figures of a test's cases, as properties of the test in junit files."""
        cases = [case for case in self.log.cases if case.test == test]
        return figures_as_properties(cases, self.benchmark_type.metrics)

    @property
    def notes(self) -> list[str]:
        """Notes for the reader of the results: about the run, then about each case."""
        of_parts = [] if self.resumption is None else self.resumption.notes
        of_cases = [note for case in self.log.cases for note in case.notes]
        return [*of_parts, *self._notes, *of_cases]

    def add_notes(self, notes: Sequence[str]) -> None:
        """Add notes about the run for the reader of the results."""
        self._notes += notes

    def add_system_facts(self, facts: Json) -> None:
        """Add our own facts about the hosts to their description."""
        system_info = {**(self.facts.system_info or {}), "mlpstorage": facts}
        self.facts = self.facts.model_copy(update={"system_info": system_info})

    @property
    def interrupted_cases(self) -> frozenset[str]:
        """Cases without metrics of a run that was stopped, whose tests have not failed."""
        failed = {one.test for one in self.log.outcomes if one.outcome == "failed"}
        is_interrupted = self.status == "interrupted"
        return frozenset(
            one.case
            for one in self.log.cases
            if is_interrupted and one.metrics is None and one.test not in failed
        )

    def make_record(self, timed: Sequence[str] = ()) -> RunRecord:
        """Return the record so far; `timed` names the tests that pytest-benchmark lists."""
        ended, runtime_s = self.times.ended, self.times.runtime_s
        return RunRecord(
            **dict(self.facts),
            status=self.status,
            exit_status=self.exit_status,
            tests_passed=self.tests_passed,
            process_id=os.getpid(),
            process_start=start_of(os.getpid()),
            timestamp=self.location.timestamp,
            run_datetime=self.started.isoformat(),
            end_datetime=ended.isoformat() if ended else None,
            runtime_s=runtime_s,
            resumed=self.times.parts(self.status, runtime_s),
            follows=self.follows,
            notes=self.notes,
            tests=self.log.outcomes,
            recorded=self._recorded.values,
            recorded_descriptions=self._recorded.descriptions,
            plugins=self.plugin_facts,
            gate=self.gate,
            system_info_at_end=self.system_info_at_end,
            untimed_cases=self.log.untimed_cases(timed),
        )
