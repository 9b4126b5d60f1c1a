"""Findings on this machine: their lines, the limits and what the kernel provides."""

from __future__ import annotations

import ctypes
import importlib.util
import resource
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mlpstorage_bench.doctor import extras, kernel
from mlpstorage_bench.doctor.finding import Finding, Status, summary
from mlpstorage_bench.doctor.limits import check_limits
from mlpstorage_bench.process.limits import Limits, MemoryLimit, Processors
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError

UNLIMITED = Limits(None, MemoryLimit(2 << 30, 1 << 30, "the host's memory"), None, None, 2 << 30)


def by_subject(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {one.subject: one for one in findings}


def set_limit(monkeypatch: pytest.MonkeyPatch, name: int, soft: int) -> None:
    """Replace one limit of this process."""
    actual = resource.getrlimit
    monkeypatch.setattr(
        resource, "getrlimit", lambda which: (soft, 4096) if which == name else actual(which)
    )


def test_line_has_status_subject_and_advice_without_control_characters() -> None:
    line = Finding("cache directory", "problem", "/mnt/\x1b[31m is a file", "Name another").line
    assert line == "problem  cache directory  /mnt/\\x1b[31m is a file. Name another"


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        ([], "no problems, no notes: a run works here"),
        (["note"], "no problems, 1 note: a run works here; read the notes"),
        (["problem", "note", "note"], "1 problem, 2 notes: a run would fail, or its *"),
    ],
)
def test_summary_counts_problems_and_notes(statuses: list[Status], text: str) -> None:
    findings = [Finding("x", status, "seen") for status in statuses]
    assert fnmatch(summary([Finding("x", "ok", "seen"), *findings]), text)


def test_limits_of_processors_and_memory_are_notes() -> None:
    free = by_subject(check_limits(1, UNLIMITED))
    assert (free["processors"].status, free["memory"].status) == ("ok", "ok")
    assert free["memory"].seen == "1.0 GiB available (the host's memory)"
    quota = Limits(Processors(0.5, "the cpu quota of control group /a"), None, None, None, None)
    limited = by_subject(check_limits(1, quota))
    assert limited["processors"].status == limited["memory"].status == "note"
    assert limited["processors"].seen.endswith(" (the cpu quota of control group /a), for 1 rank")
    addresses = Limits(None, UNLIMITED.memory, None, 1 << 29, None)
    assert "a process may use 0.50 GiB" in by_subject(check_limits(1, addresses))["memory"].seen


def test_more_ranks_than_processors_are_a_note() -> None:
    found = by_subject(check_limits(10_000, UNLIMITED))["processors"]
    assert (found.status, found.seen.endswith(", for 10000 ranks")) == ("note", True)


def test_few_open_files_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limit(monkeypatch, resource.RLIMIT_NOFILE, 64)
    found = by_subject(check_limits(1, UNLIMITED))["open files"]
    assert (found.status, found.seen) == ("note", "a process may open 64")
    assert "ulimit -n 1024 (the hard limit allows 4096)" in found.advice


def test_locked_memory_matters_where_there_is_rdma(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limit(monkeypatch, resource.RLIMIT_MEMLOCK, 64 << 10)
    without = by_subject(check_limits(1, UNLIMITED, tmp_path / "none"))["locked memory"]
    assert without.status == "ok"
    (tmp_path / "mlx5_0").mkdir()
    there = by_subject(check_limits(1, UNLIMITED, tmp_path))["locked memory"]
    assert (there.status, there.seen) == ("note", "0.0625 MiB may be locked")


def test_kernel_without_queue_and_huge_pages_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(depth: int) -> None:
        raise QueueRefusedError(f"a queue of {depth}: EPERM")

    monkeypatch.setattr(kernel, "QUEUES", {"io_uring": refuse, "linux_aio": refuse})
    setting = tmp_path / "kernel/mm/transparent_hugepage/enabled"
    setting.parent.mkdir(parents=True)
    setting.write_text("always madvise [never]\n")
    found = by_subject(kernel.check_kernel(tmp_path))
    assert found.keys() == {"linux_aio", "io_uring", "huge pages", "clock", "wall clock"}
    assert (found["linux_aio"].status, found["huge pages"].status) == ("note", "note")
    assert "EPERM" in found["linux_aio"].seen
    assert "one after another" in found["io_uring"].advice
    assert found["clock"].seen.startswith("of unknown source, ")


class Libc:
    """A C library whose clock has this state."""

    def __init__(self, state: int) -> None:
        self.state = state

    def adjtimex(self, _answer: object) -> int:
        return self.state


def test_queue_that_is_blocked_beside_another_one_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened:
        def __init__(self, _: int) -> None: ...
        def close(self) -> None: ...

    def refuse(_: int) -> None:
        raise QueueRefusedError("no io_uring: EPERM")

    monkeypatch.setattr(kernel, "QUEUES", {"io_uring": refuse, "linux_aio": Opened})
    blocked, used = kernel._queues()
    assert (blocked.subject, blocked.status, blocked.seen) == (
        *("io_uring", "note"),
        "no io_uring: EPERM",
    )
    assert blocked.advice == "Chunks are moved by the other queue"
    assert (used.subject, used.status) == ("linux_aio", "ok")


def test_clock_is_judged_by_its_fastest_readings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    readings = iter([1640.0, 64.0, 900.0, 70.0, 5000.0])
    monkeypatch.setattr(kernel, "_reading_ns", lambda: next(readings))
    found = kernel._clock(tmp_path)
    assert (found.status, found.seen) == ("ok", "of unknown source, 64 ns a reading")


@pytest.mark.parametrize(("state", "status"), [(0, "ok"), (5, "note"), (-1, "note")])
def test_clock_that_is_not_synchronised_is_noted(
    monkeypatch: pytest.MonkeyPatch, state: int, status: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_more: Libc(state))
    assert kernel._wall_clock().status == status


def test_missing_extras_are_named_with_their_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: module == "jinja2")
    found = extras.check_extras()
    assert found.seen.startswith("installed: report; not installed: training (trainings with")
    assert found.advice.endswith(
        "pip install 'mlpstorage-bench[training,traces,export,completion]'"
    )


def test_each_extra_of_users_is_looked_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    of_developers = {"dev", "docs", "pages"}
    others = {"openmpi", "training-torch"}  # the launcher's line has the first; gigabytes
    found = extras.check_extras()
    listed = found.seen + found.advice
    for name in project["optional-dependencies"].keys() - of_developers - others:
        assert name in listed


def test_line_holds_no_secret_and_no_control_character() -> None:
    seen = "it says: bad argument API_TOKEN=hush\x1b of https://me:hush@host/x"
    line = Finding("ranks", "problem", seen).line
    assert line.endswith("it says: bad argument API_TOKEN=*** of https://host/x")
