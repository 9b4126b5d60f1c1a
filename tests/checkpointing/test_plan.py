"""Plans of checkpointing: parameters in the reference's words, and sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.checkpointing.benchmark import CHECKPOINTING
from mlpstorage_bench.checkpointing.config.profile_file import load_profile
from mlpstorage_bench.checkpointing.plan import CheckpointPlan
from mlpstorage_bench.checkpointing.sizing import CheckpointCaseSize
from mlpstorage_bench.gate.series import CaseSeries, RunSeries
from mlpstorage_bench.paths import fingerprint
from mlpstorage_bench.units import GIB
from tests.checkpointing.runs import parameters


def plan(*overrides: tuple[str, str], profile: str = "mlperf") -> CheckpointPlan:
    return CheckpointPlan(
        "checkpointing", "open", load_profile(profile, overrides), overrides, {}, "/mnt/cache"
    )


def test_a_plan_writes_and_then_reads() -> None:
    assert plan().cases == ("write", "read")
    assert plan(("phase", "read")).cases == ("read",)
    assert plan().pauses.before_trial_s == 5


def test_a_phase_has_no_checkpoints_of_the_other() -> None:
    arguments = plan(("phase", "write")).arguments()
    assert arguments["num_checkpoints_write"] == 10
    assert arguments["num_checkpoints_read"] == 0


def test_settings_have_the_names_of_the_reference() -> None:
    found = plan(("fsync", "false"), ("model", "llama3-70b"), ("scale", "0.5"))
    assert found.override_parameters() == {
        "checkpoint.num_checkpoints_write": 10,
        "checkpoint.num_checkpoints_read": 10,
        "checkpoint.checkpoint_folder": "/mnt/cache",
        "checkpoint.fsync": "false",
        "mlpstorage.scale": "0.5",
    }


def test_a_profile_has_what_differs_from_mlperf_among_what_was_set() -> None:
    found = plan(("num_checkpoints_read", "1"), ("time_between_checkpoints", "1"), profile="quick")
    assert found.override_parameters() == {
        "checkpoint.num_checkpoints_write": found.own.num_checkpoints_write,
        "checkpoint.num_checkpoints_read": "1",
        "checkpoint.checkpoint_folder": "/mnt/cache",
        "checkpoint.time_between_checkpoints": "1",
        "mlpstorage.scale": found.own.scale,
    }
    assert found.arguments()["params"] == [
        "checkpoint.num_checkpoints_read=1",
        "checkpoint.time_between_checkpoints=1",
    ]


def test_arguments_of_the_reference_are_no_parameters() -> None:
    found = plan(("model", "llama3-70b"), ("accelerator", "b200"), ("call_out", "sync"))
    assert found.arguments()["params"] == ""
    assert found.arguments()["accelerator_type"] == "b200"
    assert plan(("fsync", "false")).arguments()["params"] == ["checkpoint.fsync=false"]


def test_notes_name_what_differs_from_mlperf() -> None:
    assert plan().notes() == []
    assert plan(("scale", "0.5")).notes() == [
        "profile mlperf: differs from MLPerf's checkpointing: scale"
    ]
    assert plan(profile="quick").notes() == ["profile quick: not comparable to MLPerf"]


def test_ranks_have_files_of_their_own_and_the_same_plan_has_the_same() -> None:
    hashes = [plan().request_stream_sha256(rank, 8) for rank in range(3)]
    assert len(set(hashes)) == 3
    assert plan().request_stream_sha256(1, 8) == hashes[1]
    assert plan(("writer", "dcp")).request_stream_sha256(1, 8) != hashes[1]


def test_a_description_names_size_phases_and_pauses() -> None:
    text = "\n".join(plan().describe())
    assert "104.70 GiB" in text
    assert "10 checkpoints to write" in text
    assert "20 checkpoints have pauses of 1.67 min" in text


def test_pauses_of_asynchronous_checkpoints_may_be_shorter() -> None:
    text = "\n".join(plan(("asynchronous", "true")).describe())
    assert "20 checkpoints have pauses of up to 1.67 min in all before them" in text


def size(capacity: HostCapacity, *overrides: tuple[str, str]) -> CheckpointCaseSize:
    (case,) = plan(*overrides).datasize([4, 4], capacity).cases
    assert isinstance(case, CheckpointCaseSize)
    return case


def test_sizes_are_those_of_all_checkpoints() -> None:
    found = size(HostCapacity(None, None, 1))
    assert found.storage_bytes / GIB == pytest.approx(1047.03, rel=1e-4)
    assert found.storage_bytes_per_host / GIB == pytest.approx(523.5, rel=1e-3)
    assert found.reference_gib_per_rank == (13.125,)
    assert not found.problems
    assert found.lines == [
        "checkpointing llama3-8b: 10 checkpoints of 104.70 GiB",
        "  1047.03 GiB on storage, 523.51 of a host, 130.88 of a rank",
        "  by the reference's rounded sizes: 105 GiB a checkpoint, 13.125 of a rank",
    ]


@pytest.mark.slow
def test_a_host_has_the_shares_of_its_ranks() -> None:
    own = plan(("model", "llama3-405b"), ("scale", "0.0001"))
    (case,) = own.datasize([512], HostCapacity(None, None, 1)).cases
    assert isinstance(case, CheckpointCaseSize)
    assert case.storage_bytes_per_host == case.storage_bytes
    (case,) = own.datasize([256, 256], HostCapacity(None, None, 1)).cases
    assert isinstance(case, CheckpointCaseSize)
    assert case.storage_bytes_per_host * 2 > case.storage_bytes, "the first ranks have the model"


def test_checkpoints_that_do_not_fit_are_a_problem() -> None:
    found = size(HostCapacity(400 * GIB, None, 4))
    (problem,) = found.problems
    assert problem.startswith(
        "10 checkpoints need 130.88 GiB for a rank, and 100.00 GiB are free for it: lower scale"
    )


def test_an_asynchronous_copy_needs_memory() -> None:
    found = size(HostCapacity(None, 40 * GIB, 1), ("asynchronous", "true"))
    assert found.memory_bytes_per_host / GIB == pytest.approx(52.35, rel=1e-3)
    assert "takes 13.09 GiB of memory" in found.problems[0]


def test_a_missing_directory_is_a_problem() -> None:
    assert size(HostCapacity(None, None, 1, storage_problem="no mount")).problems == ["no mount"]


def test_the_cache_directory_is_the_checkpoint_folder() -> None:
    assert plan().parameters()["checkpoint_folder"] == str(Path("/mnt/cache"))


@pytest.mark.parametrize("changes", [{"asynchronous": True}, {"io_mode": "buffered"}, {}])
def test_runs_of_the_first_version_are_not_compared(changes: dict[str, object]) -> None:
    now = CHECKPOINTING.workload_parts(parameters(**changes).model_dump(), seed=42, ranks=1)
    then = {**now, "version": 1}
    one, other = (
        RunSeries(
            run_id,
            "2026-01-01T00:00:00+00:00",
            "checkpointing",
            "system",
            {},
            {"write": CaseSeries(fingerprint(parts), parts, ())},
        )
        for run_id, parts in (("new", now), ("old", then))
    )
    assert one.differences(one, "write") == []
    assert one.differences(other, "write") == [
        "workload.version: 2 here, 1 there (the same parameters load the storage differently)"
    ]
