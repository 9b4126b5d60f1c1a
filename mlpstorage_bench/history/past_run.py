"""One earlier run, as its metadata tells it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import psutil

RUNNING = "running"
DIED = "died"
"""Status of a run that says it is running, while its process is gone."""
STATUSES = ("passed", "failed", "interrupted", RUNNING, DIED)
_OF_THE_FILE = frozenset({"file", "path"})
_NO_BASELINE = frozenset({"regressed"})
"""Verdicts of the gate on a whole run that keep it from being a baseline of later ones."""


class PastCase(NamedTuple):
    """One case of a run: what it was, and the figures that a list shows."""

    name: str
    test: str | None
    """The node id of the test that ran it; None where the metadata does not tell."""
    workload_fingerprint: str | None
    """Equal for comparable results; None where the metadata does not tell."""
    read_gib_s: float | None
    write_gib_s: float | None
    read_p95_ms: float | None
    is_refused: bool = False
    """Whether the gate did not compare it: earlier runs were of another system or workload."""


@dataclass(frozen=True)
class PastRun:
    """One run; '-' stands for what its metadata does not tell."""

    run_id: str
    started: datetime
    benchmark_type: str
    model: str
    command: str
    mode: str
    systemname: str | None
    num_processes: int
    hosts: tuple[str, ...]
    status: str
    tests_passed: bool
    """Whether all but the gate passed."""
    gate_verdict: str | None
    """On the whole run; None where the gate was not asked, and of old metadata."""
    process_id: int | None
    """Of rank 0."""
    runtime_s: float | None
    tags: tuple[str, ...]
    system_fingerprint: str | None
    """Equal for comparable systems."""
    commit: str | None
    """Of the repository of the tests, as pytest-benchmark saw it."""
    branch: str | None
    cases: tuple[PastCase, ...]
    file: str
    """The metadata file."""

    @cached_property
    def path(self) -> Path:
        """Of the metadata file."""
        return Path(self.file)

    @property
    def num_hosts(self) -> int:
        """Number of hosts; one where they are not named."""
        return len(self.hosts) or 1

    @property
    def is_baseline(self) -> bool:
        """Whether later runs may be compared with this one."""
        has_ended = self.status in ("passed", "failed")
        return has_ended and self.tests_passed and self.gate_verdict not in _NO_BASELINE

    def facts(self) -> dict[str, Any]:
        """Return everything but the file, as JSON holds it."""
        facts = {name: value for name, value in vars(self).items() if name not in _OF_THE_FILE}
        started = self.started.isoformat()
        return {**facts, "started": started, "cases": [case._asdict() for case in self.cases]}

    @classmethod
    def of_facts(cls, facts: dict[str, Any], file: str) -> PastRun:
        """Return the run of these facts, with the status that it has now."""
        hosts = tuple(facts["hosts"])
        facts["started"] = datetime.fromisoformat(facts["started"])
        facts["hosts"] = hosts
        facts["tags"] = tuple(facts["tags"])
        facts["cases"] = tuple([PastCase(**case) for case in facts["cases"]])
        if facts["status"] == RUNNING:
            facts["status"] = status_now(hosts, facts["process_id"])
        return cls(**facts, file=file)


def status_now(hosts: tuple[str, ...], process_id: int | None) -> str:
    """Return the status of a run that said it was running, and may have died since."""
    is_on_this_host = hosts[:1] == (os.uname().nodename,)
    if process_id is None or not is_on_this_host or _is_alive(process_id):
        return RUNNING
    return DIED


def _is_alive(process_id: int) -> bool:
    """Whether a process runs; one that has ended may wait long for somebody to take note of it."""
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
