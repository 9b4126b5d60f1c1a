"""Sessions with checkpoints: files of a run, phases, order of tests, several types, MPI."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.session.gate import SessionGate
from tests.session.tiny import metadata_of
from tests.variants import first_of

TINY = (
    *("--mlps-set=scale=0.00001", "--mlps-set=io_chunk_kib=16"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
)
TESTS = """
    def test_checkpoint(checkpointing, checkpointing_kind):
        result = checkpointing.run(checkpointing_kind)
        assert result.gib_s > 0
"""


def leaf(pytester: pytest.Pytester) -> Path:
    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    return path.parent


def summary(pytester: pytest.Pytester) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((leaf(pytester) / "summary.json").read_text())
    return content


@pytest.mark.starts_process
def test_a_run_has_the_reference_s_files_and_place(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.runpytest(*TINY).assert_outcomes(passed=2)
    path = leaf(pytester)
    place = path.parent.relative_to(pytester.path / "results").parts
    assert place[-2:] == ("checkpointing", "llama3-8b")
    names = {file.name for file in path.iterdir()}
    assert {"summary.json", "0_output.json", "0_per_epoch_stats.json"} <= names
    assert "fs_separation.json" in names
    metric = summary(pytester)["metric"]
    assert metric["save_checkpoint_io_mean_GB_per_second"] > 0
    assert metric["load_checkpoint_io_mean_GB_per_second"] > 0
    assert not (pytester.path / "cache").exists()


@pytest.mark.starts_process
def test_the_metadata_has_the_reference_s_parameters(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest(*TINY)
    result.assert_outcomes(passed=2)
    metadata = metadata_of(pytester)
    assert metadata["benchmark_type"] == "checkpointing"
    assert metadata["command"] == "run"
    assert metadata["parameters"]["model"]["name"] == "llama_8b"
    assert metadata["parameters"]["checkpoint"]["num_checkpoints_write"] == 3
    assert metadata["args"]["checkpoint_folder"] == str(pytester.path / "cache")
    assert metadata["args"]["client_host_memory_in_gb"] > 0
    assert metadata["args"]["o_direct"] is ("direct I/O" in result.stdout.str())
    metrics = metadata["mlpstorage"]["metrics"]
    assert metrics["write"]["trials"] == metrics["read"]["trials"] == 3
    assert metrics["read"]["verified_reads"] > 0
    assert metrics["read"]["corrupt_reads"] == 0


@pytest.mark.long
@pytest.mark.starts_process
def test_writes_run_before_reads_in_any_order_of_collection(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            items.reverse()
        """
    )
    result = pytester.runpytest(*TINY, "-v")
    result.stdout.fnmatch_lines(["*[[]write[]] PASSED*", "*[[]read[]] PASSED*"])


@pytest.mark.starts_process
def test_a_write_phase_and_a_read_phase_are_two_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.runpytest(*TINY, "--mlps-set=phase=write").assert_outcomes(passed=1)
    metric = summary(pytester)["metric"]
    assert not [name for name in metric if name.startswith("load_")]
    first = leaf(pytester)
    first.rename(first.with_name("20200101_000000"))
    pytester.runpytest(*TINY, "--mlps-set=phase=read").assert_outcomes(passed=1)
    made = [path.parent for path in (pytester.path / "results").rglob("summary.json")]
    (second,) = [path for path in made if path.name != "20200101_000000"]
    metric = json.loads((second / "summary.json").read_text())["metric"]
    assert not [name for name in metric if name.startswith("save_")]
    assert not (pytester.path / "cache" / "checkpoint_rank_0").exists()


KILLED = """
    import os, signal
    import pytest
    from mlpstorage_bench.storage.files import DataFile

    @pytest.fixture(autouse=True)
    def killed(monkeypatch):
        def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
        monkeypatch.setattr(DataFile, "close", kill)
"""


@pytest.mark.long
@pytest.mark.starts_process
def test_a_killed_read_phase_leaves_the_checkpoints(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.runpytest(*TINY, "--mlps-set=phase=write").assert_outcomes(passed=1)
    pytester.makeconftest(KILLED)
    read = (*TINY, "--mlps-set=phase=read")
    assert pytester.runpytest_subprocess(*read, "-p", "no:cacheprovider").ret == -signal.SIGKILL
    (pytester.path / "conftest.py").unlink()
    pytester.runpytest(*read).assert_outcomes(passed=1)


@pytest.mark.starts_process
def test_fewer_checkpoints_than_are_to_be_read_are_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    one = (*TINY, "--mlps-set=num_checkpoints_write=1", "--mlps-set=num_checkpoints_read=1")
    pytester.runpytest(*one, "--mlps-set=phase=write").assert_outcomes(passed=1)
    result = pytester.runpytest(*TINY, "--mlps-set=phase=read")
    text = result.stdout.str() + result.stderr.str()
    assert "num_checkpoints_read: got 3; accepted: at most 1" in text
    pytester.runpytest(*one, "--mlps-set=phase=read").assert_outcomes(passed=1)


@pytest.mark.starts_process
def test_a_read_phase_without_checkpoints_ends_with_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest(*TINY, "--mlps-set=phase=read")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a run with phase=write has left its checkpoints*"])


@pytest.mark.long
@pytest.mark.starts_process
def test_each_case_is_offered_more_of_its_own_trials(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate counts looks by them: three trials of writes are as many looks as one of reads."""
    offered: dict[str, int] = {}

    def offer(_: SessionGate, case: str, trials: int, _run: object) -> None:
        offered[case] = trials

    monkeypatch.setattr(SessionGate, "offer_more", offer)
    pytester.makepyfile(TESTS)
    counts = ("--mlps-set=num_checkpoints_write=3", "--mlps-set=num_checkpoints_read=1")
    pytester.runpytest(*TINY, *counts, "--mlps-gate").assert_outcomes(passed=2)
    assert offered == {"write": 3, "read": 1}


@pytest.mark.starts_process
def test_reads_alone_write_first_and_state_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest(*TINY, "-k", "checkpoint[read]")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["note: checkpoints were written once more*unmeasured*"])


@pytest.mark.starts_process
def test_a_test_changes_what_files_do_not_depend_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from mlpstorage_bench.errors import InvalidInputError

        def test_lanes(checkpointing):
            with pytest.raises(InvalidInputError, match="got .scale=0.5.*--mlps-set check"):
                checkpointing.run("write", scale=0.5)
            with pytest.raises(InvalidInputError, match="write or read"):
                checkpointing.run("delete")
            result = checkpointing.run("write", case="one-lane", lanes=1, fsync=False)
            assert result.case == "one-lane"
            assert result.latencies.flush_p95_ms is None
        """
    )
    pytester.runpytest(*TINY, "--mlps-set=io_mode=direct").assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.starts_process
def test_a_test_sets_the_time_between_its_checkpoints(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test_write(checkpointing): checkpointing.run('write', time_between_checkpoints=0.2)"
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)
    steps = metadata_of(pytester)["mlpstorage"]["sequence"]["steps"]
    pauses = [one["seconds"] for one in steps if one["step"] == "pause_before_trial"]
    assert len(pauses) == 3
    assert min(pauses) >= 0.2


@pytest.mark.starts_process
def test_closed_refuses_other_profiles_and_parameters(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest(*TINY, "--mlps-mode=closed")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*10 writes, 10 reads, fsync*"])


@pytest.mark.long
@pytest.mark.starts_process
def test_a_session_of_two_types_leaves_a_run_of_each(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS + "\n    def test_cache(kvcache): kvcache.run(1)\n")
    entries = ("duration=60", "warmup=0", "entry_scale=0.001", "requests=20", "calibration=0")
    settings = [f"--mlps-set=kv_cache.{entry}" for entry in entries]
    ours = [f"--mlps-set=checkpointing.{entry}" for entry in ("scale=0.00001", "io_chunk_kib=16")]
    result = pytester.runpytest(*settings, *ours, *TINY[2:], "--mlps-trials=2")
    result.assert_outcomes(passed=3)
    found = [
        json.loads(path.read_text())
        for path in (pytester.path / "results").rglob("*_metadata.json")
    ]
    assert {one["benchmark_type"] for one in found} == {"kv_cache", "checkpointing"}


@pytest.mark.starts_process
def test_corrupt_files_fail_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pathlib import Path

        def test_write(checkpointing): checkpointing.run("write")

        def test_read(checkpointing):
            (path,) = Path("cache/checkpoint_rank_0/01").iterdir()
            with path.open("r+b") as file:
                file.write(bytes(8))
            checkpointing.run("read")
        """
    )
    result = pytester.runpytest(*TINY, "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*files of trial 1 had other data than was written*"])
    assert metadata_of(pytester)["mlpstorage"]["status"] == "failed"


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.starts_process
@pytest.mark.parametrize("writer", first_of("rank", "dcp"))
def test_two_ranks_write_one_checkpoint_together(pytester: pytest.Pytester, writer: str) -> None:
    pytester.makepyfile(TESTS)
    options = ("--mlps-num-processes=2", "--mlps-allow-run-as-root", f"--mlps-set=writer={writer}")
    pytester.runpytest_subprocess(*TINY, *options, "-p", "no:cacheprovider")
    metadata = metadata_of(pytester)
    assert metadata["mlpstorage"]["status"] == "passed"
    metrics = metadata["mlpstorage"]["metrics"]["write"]
    assert metrics["ranks"] == 2
    assert {one["rank"] for one in metrics["by_rank"]} == {0, 1}
    path = leaf(pytester)
    assert (path / "1_per_epoch_stats.json").is_file()
    shares = [
        json.loads(file.read_text())["mlpstorage"]
        for file in path.glob("case_write/trial_0/rank_*/checkpoint_results_*.json")
    ]
    assert {one["rank"] for one in shares} == {0, 1}
    assert sum(one["tensor_bytes"] for one in shares) == metrics["checkpoint_bytes"]


FAILING = """
    import os
    import pytest
    from mlpstorage_bench.errors import StorageError
    from mlpstorage_bench.storage.files import DataFile

    def fail(file, *_):
        raise StorageError("syncing", str(file.path), "the device failed")

    @pytest.fixture(autouse=True)
    def failing(monkeypatch):
        if os.environ.get("OMPI_COMM_WORLD_RANK") == "1":
            monkeypatch.setattr(DataFile, "make_durable", fail)
"""


@pytest.mark.launches_mpi
@pytest.mark.long
@pytest.mark.starts_process
def test_a_flush_that_fails_on_one_rank_ends_the_run_and_names_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TESTS)
    pytester.makeconftest(FAILING)
    options = ("--mlps-num-processes=2", "--mlps-allow-run-as-root", "-k", "checkpoint[write]")
    result = pytester.runpytest_subprocess(*TINY, *options, "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*rank 1 on *: syncing *failed: the device failed*"])
    assert metadata_of(pytester)["mlpstorage"]["status"] == "failed"
    assert not (pytester.path / "cache").exists()


@pytest.mark.long
@pytest.mark.starts_process
def test_checkpoints_without_digests_are_not_read_as_if_they_were_checked(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TESTS)
    unchecked = "--mlps-set=verify_rate=0"
    pytester.runpytest(*TINY, "--mlps-set=phase=write", unchecked).assert_outcomes(passed=1)
    result = pytester.runpytest(*TINY, "--mlps-set=phase=read")
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert "verify_rate: got 1.0; accepted: 0 where the write phase had verify_rate=0" in text
    pytester.runpytest(*TINY, "--mlps-set=phase=read", unchecked).assert_outcomes(passed=1)
