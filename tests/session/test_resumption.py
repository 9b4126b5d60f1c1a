"""A session is compared with the run that it continues, and its parts are recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.results.kept_trials import KeptTrials, LastTrial
from mlpstorage_bench.results.run_metadata import moment
from mlpstorage_bench.session.resumption import Resumption, resumption_of
from tests.past_runs import leave_run

IDENTITY: dict[str, Any] = {
    "package": "1.0 (files 1234)",
    "workload": {"requests": ["aa", "bb"], "parameters": {"options": {"1": {"num_users": 4}}}},
    "seed": 42,
    "hosts": ["h1", "h2"],
    "ranks": {"total": 2, "on a host": 1},
    "system": {"hosts": [{"kernel": "6.1"}]},
    "storage": {"h1": {"path": "/cache", "fstype": "ext4", "device": "/dev/sda"}},
}


def continued(tmp_path: Path, **changes: Any) -> Resumption:
    path = leave_run(tmp_path, 1, **changes)
    kept = KeptTrials(path.parent)
    kept.claim("run", "r")
    kept.write_identity(IDENTITY)
    kept.release()
    return resumption_of(path, datetime(2026, 11, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"package": "1.1 (files 5678)"}, 'package: "1.0 .files 1234." then, "1.1 .files 5678." n'),
        (
            {"workload": {**IDENTITY["workload"], "requests": ["aa", "cc"]}},
            'workload requests 1: "b',
        ),
        (
            {"workload": {**IDENTITY["workload"], "parameters": {"options": {"1": {}}}}},
            "workload parameters options 1 num_users: 4 then, null now",
        ),
        ({"seed": 43}, "seed: 42 then, 43 now"),
        ({"hosts": ["h1", "h3"]}, 'hosts 1: "h2" then, "h3" now'),
        ({"hosts": ["h1"]}, r'hosts: \["h1", "h2"\] then, \["h1"\] now'),
        ({"ranks": {"total": 4, "on a host": 2}}, "ranks total: 2 then, 4 now; ranks on a host: 1"),
        ({"system": {"hosts": [{"kernel": "6.2"}]}}, 'system hosts 0 kernel: "6.1" then, "6.2"'),
        (
            {"storage": {"h1": {**IDENTITY["storage"]["h1"], "device": "/dev/sdb"}}},
            'storage h1 device: "/dev/sda" then, "/dev/sdb" now',
        ),
    ],
)
def test_session_that_differs_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run = continued(tmp_path)
    run.check_identity(IDENTITY)
    with pytest.raises(InvalidInputError, match=f"with the workload, seed, hosts.*{message}"):
        run.check_identity({**IDENTITY, **changes})


def test_part_that_was_killed_ends_with_its_last_known_moment(tmp_path: Path) -> None:
    run = continued(tmp_path, status="running", runtime=60.0, run_datetime="2026-11-01T12:00:00Z")
    (part,) = run.earlier
    assert (part.runtime_s, part.status) == (60.0, "died")
    assert datetime.fromisoformat(part.ended or "") == datetime(2026, 11, 1, 12, 1, tzinfo=UTC)
    record = run.record("running", None, 5.0)
    assert record is not None
    assert [one.runtime_s for one in record.parts] == [60.0, 5.0]
    assert record.parts[1].ended is None
    assert [pause.seconds for pause in record.pauses] == [86400 / 2 - 60]


def test_parts_of_a_run_that_was_resumed_before_stay(tmp_path: Path) -> None:
    parts: list[dict[str, object]] = [
        {"started": "2026-11-01T12:00:00Z", "ended": "2026-11-01T12:01:00Z", "runtime_s": 60.0},
        {"started": "2026-11-01T13:00:00Z", "ended": None, "runtime_s": 0.0},
    ]
    resumed = {"parts": [{**one, "status": "died"} for one in parts], "pauses": []}
    changes = {"status": "interrupted", "runtime": 90.0, "end_datetime": "2026-11-01T13:00:30Z"}
    run = continued(tmp_path, **changes, own={"resumed": resumed})
    assert [(part.runtime_s, part.status) for part in run.earlier] == [
        (60.0, "died"),
        (30.0, "interrupted"),
    ]
    assert run.earlier[1].ended == "2026-11-01T13:00:30Z"
    assert run.runtime_before_s == 90.0


def test_parts_after_the_end_of_a_run_are_none(tmp_path: Path) -> None:
    parts: list[dict[str, object]] = [
        {"started": "2026-11-01T12:00:00Z", "ended": "2026-11-01T12:01:00Z", "runtime_s": 60.0},
        {"started": "2026-11-01T13:00:00Z", "ended": None, "runtime_s": 0.0},
    ]
    resumed = {"parts": [{**one, "status": "died"} for one in parts], "pauses": []}
    changes = {"status": "interrupted", "runtime": 90.0, "end_datetime": "2026-11-01T13:00:30Z"}
    run = continued(tmp_path, **changes, own={"resumed": resumed})

    def ended_at(hour: int, minute: int) -> Resumption:
        return run.until(LastTrial(datetime(2026, 11, 1, hour, minute, tzinfo=UTC), 1.0))

    once = ended_at(12, 1)
    assert (once.earlier, once.notes, once.runtime_before_s) == ((), [], 0.0)
    assert once.record("passed", None, 1.0) is None
    twice = ended_at(13, 1)
    assert twice.runtime_before_s == 60.0
    record = twice.record("passed", None, 30.0)
    assert record is not None
    assert [moment(part.started).astimezone(UTC).hour for part in record.parts] == [12, 13]
    assert [part.status for part in record.parts] == ["died", "passed"]
    assert "2 parts" in twice.notes[0]


def test_findings_on_hosts_of_the_interrupted_part_are_known(tmp_path: Path) -> None:
    finding = {"check": "flush", "host": "h1", "verdict": "finding", "seen": "9 of 9 pages"}
    info = {"mlpstorage": {"checks": [finding, {**finding, "verdict": "ok"}]}}
    (found,) = continued(tmp_path, system_info=info).findings
    assert (found.check, found.host, found.seen) == ("flush", "h1", "9 of 9 pages")
