"""Engine of checkpoints on one rank: phases, what is left for another run, hand-over."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.checkpointing.runner.manifest import Manifest
from mlpstorage_bench.errors import CapacityError, InvalidInputError
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.storage import files, uncached_io
from mlpstorage_bench.storage.files import DataFile
from mlpstorage_bench.trial.trial_window import TrialWindow
from tests.checkpointing.runner.engines import engine
from tests.checkpointing.runs import parameters
from tests.storage.test_cached_files import cached_pages

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

PAGE = os.sysconf("SC_PAGE_SIZE")


def test_checkpoints_are_written_read_and_removed(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        for trial in (1, 2):
            written = opened.run_trial(parameters(), "write", trial).result
            assert (written.trial, written.kind) == (trial, "write")
        assert sorted(path.name for path in (tmp_path / "cache/checkpoint_rank_0").glob("0*")) == [
            "01",
            "02",
        ]
        for trial in (1, 2):
            read = opened.run_trial(parameters(), "read", trial).result
            assert read.corrupt_reads == 0
            assert read.handover_s is not None
    assert not (tmp_path / "cache").exists()


def test_caches_are_dropped_before_the_first_read_and_before_a_repeated_one(tmp_path: Path) -> None:
    own = parameters(io_mode="buffered")
    with engine(tmp_path, io_mode="buffered") as opened:
        for trial in (1, 2):
            opened.run_trial(own, "write", trial)
        reads = [opened.run_trial(own, "read", trial).result for trial in (1, 2, 3)]
    assert [read.caches for read in reads] == ["dropped", "", "dropped"]
    assert [step.step for step in opened.steps].count("caches_dropped") == 2


def test_buffered_files_keep_their_pages_where_caches_are_not_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = parameters(io_mode="buffered", drop_caches=False)
    with engine(tmp_path, io_mode="buffered", drop_caches=False) as opened:
        monkeypatch.setattr(DataFile, "drop_cached_pages", None)
        opened.run_trial(own, "write", 1)
        (path,) = (tmp_path / "cache/checkpoint_rank_0/01").iterdir()
        kept = cached_pages(path)
        read = opened.run_trial(own, "read", 1).result
        assert cached_pages(path) >= kept
    assert kept * PAGE >= read.read_bytes
    assert "drop_caches is off" in read.caches


def test_uncached_files_are_dropped_in_no_measured_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def note(owner: object, name: str, event: str, *, advice: int | None = None) -> None:
        original = getattr(owner, name)

        def noted(*given: Any) -> object:
            if advice in (None, given[-1]):
                events.append(event)
            return original(*given)

        monkeypatch.setattr(owner, name, noted)

    for module in (files, uncached_io):  # filesystems without uncached I/O move files buffered
        monkeypatch.setattr(module, "DONTCACHE", 0)
    own = parameters(io_mode="uncached")
    with engine(tmp_path, io_mode="uncached") as opened:
        note(TrialWindow, "open", "opened")
        note(TrialWindow, "close", "closed")
        note(os, "posix_fadvise", "dropped", advice=os.POSIX_FADV_DONTNEED)
        opened.run_trial(own, "write", 1)
        opened.run_trial(own, "read", 1)
    one = ["opened", "closed", "dropped"]
    assert events == [*one, "dropped", "dropped", *one]


def test_caches_that_are_not_dropped_are_stated(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        opened.run_trial(parameters(), "write", 1)
        read = opened.run_trial(parameters(drop_caches=False), "read", 1).result
    assert "drop_caches is off" in read.caches


def test_reads_without_writes_write_first_unmeasured(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        read = opened.run_trial(parameters(), "read", 1).result
        assert opened.has_rewritten
    assert read.kind == "read"
    assert read.write_bytes == 0


def test_reads_without_writes_read_each_checkpoint(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        for trial in (1, 2):
            opened.run_trial(parameters(), "read", trial)
        found = sorted(path.name for path in (tmp_path / "cache/checkpoint_rank_0").glob("0*"))
    assert found == ["01", "02"]


def test_more_trials_than_checkpoints_use_the_first_ones_again(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        for trial in (1, 2, 3):
            opened.run_trial(parameters(), "write", trial)
        read = opened.run_trial(parameters(), "read", 3).result
        assert (read.trial, read.corrupt_reads) == (3, 0)
        assert not opened.has_rewritten


def test_a_write_phase_leaves_checkpoints_for_a_read_phase(tmp_path: Path) -> None:
    with engine(tmp_path, phase="write") as opened:
        opened.run_trial(parameters(phase="write"), "write", 1)
        opened.run_trial(parameters(phase="write"), "write", 2)
    assert (tmp_path / "cache/checkpoint_rank_0" / MANIFEST).is_file()
    with engine(tmp_path, phase="read") as opened:
        read = opened.run_trial(parameters(phase="read"), "read", 2, is_last=True).result
        assert read.corrupt_reads == 0
        assert read.verified_reads > 0
        assert read.handover_s is not None
        assert not opened.has_rewritten
    assert not (tmp_path / "cache/checkpoint_rank_0").exists()


def test_files_that_changed_between_the_phases_are_found(tmp_path: Path) -> None:
    with engine(tmp_path, phase="write") as opened:
        opened.run_trial(parameters(phase="write"), "write", 1)
    (path,) = (tmp_path / "cache/checkpoint_rank_0/01").iterdir()
    content = bytearray(path.read_bytes())
    content[12_345] ^= 1
    path.write_bytes(content)
    own = parameters(phase="read", num_checkpoints_read=1)
    with engine(tmp_path, phase="read", num_checkpoints_read=1) as opened:
        read = opened.run_trial(own, "read", 1).result
    assert read.corrupt_reads == 1
    assert "expected" in read.wrong_data("trial 1")


def test_a_read_phase_without_checkpoints_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInputError, match="a run with phase=write has left"),
        engine(tmp_path, phase="read"),
    ):
        pass


def test_a_read_phase_with_other_parameters_is_refused_and_leaves_them(tmp_path: Path) -> None:
    with engine(tmp_path, phase="write") as opened:
        opened.run_trial(parameters(phase="write"), "write", 1)
    with (
        pytest.raises(InvalidInputError, match=r"writer \(rank, not megatron\)"),
        engine(tmp_path, phase="read", writer="megatron"),
    ):
        pass
    own = parameters(phase="read", num_checkpoints_read=1)
    with engine(tmp_path, phase="read", num_checkpoints_read=1) as opened:
        assert opened.run_trial(own, "read", 1).result.corrupt_reads == 0


@pytest.mark.parametrize("content", ["{}", "[]", "nothing", '{"version": 2}'])
def test_a_damaged_list_of_checkpoints_is_refused(tmp_path: Path, content: str) -> None:
    with engine(tmp_path, phase="write") as opened:
        opened.run_trial(parameters(phase="write"), "write", 1)
    (tmp_path / "cache/checkpoint_rank_0" / MANIFEST).write_text(content)
    with (
        pytest.raises(InvalidInputError, match="list of checkpoints"),
        engine(tmp_path, phase="read"),
    ):
        pass


def test_a_list_with_another_size_is_refused(tmp_path: Path) -> None:
    with engine(tmp_path, phase="write") as opened:
        opened.run_trial(parameters(phase="write"), "write", 1)
    path = tmp_path / "cache/checkpoint_rank_0" / MANIFEST
    listed = json.loads(path.read_text())
    listed["checkpoints"]["1"][0]["size"] += 4096
    Manifest.model_validate(listed).write(path.parent)
    with (
        pytest.raises(InvalidInputError, match=r"Checkpoint 1 lacks rank-0\.pt"),
        engine(tmp_path, phase="read"),
    ):
        pass


def test_a_call_out_runs_before_the_first_read_and_before_reads_of_the_same_again(
    tmp_path: Path,
) -> None:
    called = tmp_path / "called"
    command = f"{sys.executable} -c \"open('{called}', 'a').write('x')\""
    with engine(tmp_path) as opened:
        for number in (1, 2):
            opened.run_trial(parameters(call_out=command), "write", number)
        assert not called.exists()
        opened.run_trial(parameters(call_out=command), "read", 1)
        opened.run_trial(parameters(call_out=command), "read", 2)
        assert called.read_text() == "x"
        third, fourth = (
            opened.run_trial(parameters(call_out=command), "read", trial).result for trial in (3, 4)
        )
        assert called.read_text() == "xx", "both checkpoints were read again"
    assert [one.metrics()["caches"] for one in (third, fourth)] == ["dropped", ""]


@pytest.mark.parametrize(
    ("command", "problem"),
    [("false", "status 1"), ("/no/such/command", "No such file"), ("'", "No closing quotation")],
)
def test_a_call_out_that_fails_ends_the_run(tmp_path: Path, command: str, problem: str) -> None:
    with engine(tmp_path) as opened:
        opened.run_trial(parameters(), "write", 1)
        with pytest.raises(InvalidInputError, match=problem):
            opened.run_trial(parameters(call_out=command), "read", 1)


def test_checkpoints_that_do_not_fit_are_refused_before_the_first_write(tmp_path: Path) -> None:
    with (
        engine(tmp_path, scale=1.0, num_checkpoints_write=255) as opened,
        pytest.raises(CapacityError, match="255 checkpoints need"),
    ):
        opened.check_cases(["write"])


def test_an_asynchronous_copy_that_does_not_fit_memory_is_refused(tmp_path: Path) -> None:
    with (
        engine(
            tmp_path, scale=0.02, asynchronous=True, num_checkpoints_write=1, num_checkpoints_read=1
        ) as opened,
        pytest.raises(CapacityError, match="of memory"),
    ):
        opened.check_cases(["write"])


def test_results_of_ranks_are_json(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        outcome = opened.run_trial(parameters(), "write", 1)
    assert outcome.ranks is not None
    own = json.loads(json.dumps(outcome.ranks[0]))["mlpstorage"]
    assert (own["rank"], own["trial"], own["kind"]) == (0, 1, "write")
    assert [step["step"] for step in own["sequence"]] == ["trial"]


def test_the_ceiling_of_the_harness_is_measured_once_for_each_kind(tmp_path: Path) -> None:
    with engine(tmp_path) as opened:
        written, again = (opened.run_trial(parameters(), "write", trial).result for trial in (1, 2))
    assert written.ceiling_gib_s is not None
    assert written.ceiling_gib_s == again.ceiling_gib_s
    assert written.limited_by != "not calibrated"
