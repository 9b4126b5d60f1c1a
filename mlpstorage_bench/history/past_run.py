"""One earlier run, as recorded in its metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.history.cache_directories import CacheDirectory, replaced
from mlpstorage_bench.process.identity import is_running

RUNNING = "running"
DIED = "died"
"""Status of a run whose metadata says `running`, but whose process no longer exists."""
STATUSES = ("passed", "failed", "interrupted", RUNNING, DIED)
_MEASURES = "run"
"""The command that does more than to answer or to prepare."""
_NO_BASELINE = frozenset({"regressed"})
"""Verdicts of the gate on a whole run that exclude it from baselines of later runs."""


@dataclass(frozen=True)
class PastCase:
    """One case of a run, with the values that lists show."""

    name: str
    test: str | None
    """Node id of the test that ran it; None if the metadata has none."""
    workload_fingerprint: str | None
    """Equal for comparable results; None if the metadata has none."""
    is_refused: bool
    """Whether the gate did not compare it: earlier runs were of another system or workload."""
    listed: Mapping[str, float]
    """Values of the metrics that lists of runs show."""
    is_disturbed: bool = False
    """Whether the gate could not judge it, because something else than the storage changed it."""


@dataclass(frozen=True)
class PastRun:
    """One run; '-' where its metadata has no value."""

    run_id: str
    started: datetime
    benchmark_type: str
    model: str
    command: str
    mode: str
    systemname: str | None
    num_processes: int | None
    """Number of ranks; None if the metadata has none."""
    hosts: tuple[str, ...]
    status: str
    tests_passed: bool
    """Whether the tests passed, regardless of the gate."""
    gate_verdict: str | None
    """The gate's verdict on the whole run; None if the gate was off, and in old metadata."""
    process_id: int | None
    """Process of rank 0."""
    process_start: str | None
    """When and where that process started (`process.identity.start_of`); None in old metadata."""
    runtime_s: float | None
    tags: tuple[str, ...]
    system_fingerprint: str | None
    """Equal for comparable systems."""
    commit: str | None
    """Commit of the tests' repository, as pytest-benchmark recorded it."""
    branch: str | None
    cases: tuple[PastCase, ...]
    file: str = ""
    """Path of the metadata file, as text."""
    cache_directories: tuple[CacheDirectory, ...] = ()
    """Those of its hosts, as far as they are known."""
    is_of_reference: bool = False
    """Whether another program wrote it: its figures have other definitions."""
    host_count: int | None = None
    """Number of hosts, where they are counted and not named."""
    ranks_found: int | None = None
    """Ranks whose results were found, in the trial with the fewest; None if none is missing."""
    is_invalid: bool = False
    """Whether its own checks called it INVALID: its figures may be those of a cache."""

    @cached_property
    def path(self) -> Path:
        """Path of the metadata file."""
        return Path(self.file)

    @property
    def num_hosts(self) -> int:
        """Number of hosts; 1 where they are neither counted nor named."""
        return self.host_count or len(self.hosts) or 1

    @property
    def ranks(self) -> str:
        """The number of ranks: `found/expected` where results of ranks are missing."""
        expected = "-" if self.num_processes is None else str(self.num_processes)
        return expected if self.ranks_found is None else f"{self.ranks_found}/{expected}"

    @property
    def is_complete(self) -> bool:
        """Whether it has ended and its tests passed, whatever the gate said."""
        return self.status in ("passed", "failed") and self.tests_passed

    @property
    def is_baseline(self) -> bool:
        """Whether later runs may be compared with those of its cases that were not disturbed."""
        is_sound = self.is_complete and not self.is_invalid
        return is_sound and self.gate_verdict not in _NO_BASELINE

    def case_named(self, name: str) -> PastCase | None:
        """Return the case of this name; None if the run has none."""
        return next((case for case in self.cases if case.name == name), None)

    def is_comparable(self, other: PastRun, case: str) -> bool:
        """Return whether both have the same system, storage, and workload of a case.

        Runs of the reference have no fingerprints: they are comparable by name and size.
        """
        if self.is_of_reference or other.is_of_reference:
            return self._reference_system == other._reference_system
        return (
            self.system_fingerprint == other.system_fingerprint
            and self._workload_of(case) == other._workload_of(case)
            and not replaced(self.cache_directories, other.cache_directories)
        )

    @property
    def _reference_system(self) -> tuple[object, ...]:
        return (
            *(self.is_of_reference, self.systemname, self.mode, self.model),
            *(self.num_processes, self.num_hosts),
        )

    def _workload_of(self, name: str) -> str | None:
        return next((one.workload_fingerprint for one in self.cases if one.name == name), None)

    def facts(self) -> Json:
        """Return all fields but the file for JSON."""
        facts: Json = _FACTS.dump_python(self, mode="json", exclude={"file"})
        return {**facts, "started": self.started.isoformat()}

    def facts_text(self) -> str:
        """Return all fields but the file as JSON."""
        return _FACTS.dump_json(self, exclude={"file"}).decode()

    @classmethod
    def of_facts(cls, text: str, file: str) -> PastRun:
        """Return the run with these facts and its status now; ValueError for any other text."""
        run = _FACTS.validate_json(text)
        return replace(run, file=file, status=status_now(run))


_FACTS = TypeAdapter(PastRun)


def status_now(run: PastRun) -> str:
    """Return the status now of a run whose metadata may say running."""
    is_on_this_host = run.hosts[:1] == (os.uname().nodename,)
    if run.status != RUNNING or run.process_id is None or not is_on_this_host:
        return run.status
    runs = is_running(run.process_id, run.process_start, run.started.timestamp())
    return DIED if runs is False else RUNNING


def newest_measured(runs: Sequence[PastRun]) -> PastRun | None:
    """Return the newest run that measured, or of all if none did; `runs` are in order of time."""
    measured = [run for run in runs if run.command == _MEASURES]
    return next(reversed(measured or runs), None)
