"""Verification of a run: the reasons against a closed one, and the word that follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.interface import Standing
from mlpstorage_bench.results.convert import read_document
from mlpstorage_bench.results.final_status import record_final_status
from mlpstorage_bench.results.parts_record import (
    FollowedRecord,
    PartRecord,
    PauseRecord,
    ResumedRecord,
)
from mlpstorage_bench.results.record import RunRecord, parse_record
from mlpstorage_bench.results.verification import (
    reasons_against,
    unproven,
    verification_of,
)

DOCUMENT = Path(__file__).parent.parent / "golden" / "schema_2" / "pytest_benchmark.json"
FLUSH = "flush of the page cache"


def check(verdict: str, seen: str) -> dict[str, str]:
    return {"check": FLUSH, "host": "h1", "verdict": verdict, "seen": seen}


def record(mode: str, *checks: dict[str, str], status: str = "passed") -> RunRecord:
    recorded = parse_record(str(DOCUMENT), read_document(DOCUMENT).record)
    info: dict[str, Any] = {"hosts": [], "mlpstorage": {"checks": list(checks)}}
    return recorded.model_copy(update={"mode": mode, "status": status, "system_info": info})


def resumed(made: RunRecord) -> RunRecord:
    parts = [
        PartRecord(started=f"2026-11-01T1{hour}:00:00Z", ended=None, runtime_s=1.0, status="died")
        for hour in range(2)
    ]
    pauses = [PauseRecord(began=parts[0].started, ended=parts[1].started, seconds=3600.0)]
    return made.model_copy(update={"resumed": ResumedRecord(parts=parts, pauses=pauses)})


def following(made: RunRecord, idle_s: float, runtime_s: float = 7200.0) -> RunRecord:
    before = FollowedRecord(timestamp="20261101_1", runtime_s=60.0, paused_s=0.0, idle_s=idle_s)
    return made.model_copy(update={"follows": before, "runtime_s": runtime_s})


OK = check("ok", "4096 dirty pages before, 0 after")
FOUND = check("finding", "4096 of 4096 pages are dirty after fsync")
UNKNOWN = check("not measurable", "tmpfs")
LATE = "it began 60 s after 20261101_1 ended; allowed: less than the 60 s that it took: rule 2.1.18"
PAUSED = "it was interrupted for 3600 s; allowed: less than the 3600 s that it took: rule 2.1.18"
OBJECTION = Standing(objections=("workload 1: 3 results of ranks are missing",))


@pytest.mark.parametrize(
    ("made", "standing", "word", "reasons"),
    [
        (record("closed", OK), Standing(), "CLOSED", []),
        (resumed(record("closed", OK)), Standing(), "CLOSED", []),
        (following(record("closed", OK), 59.0), Standing(), "CLOSED", []),
        (following(record("closed", OK), 60.0), Standing(), "INVALID", [LATE]),
        (following(record("closed", status="running"), 60.0), Standing(), None, [LATE]),
        (following(record("open", OK), 60.0), Standing(), "OPEN", []),
        (following(resumed(record("closed", OK)), 1.0), Standing(), "CLOSED", []),
        (following(resumed(record("closed", OK)), 1.0, 3600.0), Standing(), "INVALID", [PAUSED]),
        (record("closed", OK, UNKNOWN), Standing(unproven=("audit",)), "CLOSED", []),
        (record("closed", OK, FOUND), Standing(), "INVALID", [f"h1: {FLUSH}: 4096 of "]),
        (record("closed", OK), OBJECTION, "INVALID", ["workload 1: 3 results"]),
        (record("closed", FOUND), OBJECTION, "INVALID", ["h1: flush", "workload 1: "]),
        (record("closed", FOUND, status="running"), OBJECTION, None, ["h1: flush"]),
        (record("closed", OK, status="running"), OBJECTION, None, []),
        (record("closed"), Standing(), None, []),
        (record("closed"), OBJECTION, "INVALID", ["workload 1: "]),
        (record("open", FOUND), OBJECTION, "OPEN", []),
        (record("whatif"), Standing(), None, []),
    ],
    ids=[
        *(
            "closed",
            "resumed",
            *("in time", "late", "running and late", "open and late"),
            *("interrupted shortly", "interrupted for long"),
            "not measurable",
            "finding",
            "objection",
            "both",
            "running with a finding",
        ),
        *("running", "not checked", "not checked with an objection", "open", "whatif"),
    ],
)
def test_word_follows_from_the_reasons(
    made: RunRecord, standing: Standing, word: str | None, reasons: list[str]
) -> None:
    verification = verification_of(made, standing)
    assert verification.word == word
    assert len(verification.not_valid_because) == len(reasons)
    for found, start in zip(verification.not_valid_because, reasons, strict=True):
        assert found.startswith(start)


def test_findings_on_hosts_are_reasons_against_figures_of_every_mode() -> None:
    assert len(reasons_against(record("open", FOUND, OK, UNKNOWN))) == 1


def test_unmeasurable_properties_are_listed_and_no_reason() -> None:
    made = record("closed", OK, UNKNOWN)
    listed = list(unproven(made, Standing(unproven=("workload 1: audit: not measurable: why",))))
    assert listed == [
        f"h1: {FLUSH}: not measurable: tmpfs",
        "workload 1: audit: not measurable: why",
    ]


@pytest.mark.parametrize(("mode", "word"), [("closed", "INVALID"), ("open", "OPEN")])
def test_closed_run_that_was_killed_is_invalid(tmp_path: Path, mode: str, word: str) -> None:
    path = tmp_path / "kv_cache_20261101_120000_metadata.json"
    own = {"mode": mode, "not_valid_because": ["h1: flush"]}
    path.write_text(json.dumps({"verification": "OPEN", "mlpstorage": own}))
    assert record_final_status(path, "failed", 86, "rank 1 was killed")
    assert record_final_status(path, "failed", 86, "and again")
    metadata = json.loads(path.read_text())
    assert metadata["verification"] == word
    expected = ["h1: flush", *(["the run did not complete"] if mode == "closed" else [])]
    assert metadata["mlpstorage"]["not_valid_because"] == expected


def test_run_that_ended_before_its_session_was_killed_gets_the_status(tmp_path: Path) -> None:
    path = tmp_path / "training_20261101_120000_metadata.json"
    own = {"mode": "open", "status": "running", "end_datetime": "2026-11-01T12:00:00+00:00"}
    path.write_text(json.dumps({"verification": "OPEN", "mlpstorage": own}))
    assert record_final_status(path, "failed", 86, "rank 1 was killed")
    assert not record_final_status(path, "failed", 86, "and again")
    metadata = json.loads(path.read_text())["mlpstorage"]
    assert (metadata["status"], metadata["exit_status"]) == ("failed", 86)
    assert metadata["end_datetime"] == own["end_datetime"]
