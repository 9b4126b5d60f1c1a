"""Summary, statistics and parameters in the reference's form."""

from __future__ import annotations

import json

import pytest

from mlpstorage_bench.checkpointing.results.reference_files import (
    files_of_ranks,
    resolved_arguments,
    summarise,
)
from mlpstorage_bench.checkpointing.results.reference_parameters import reference_parameters
from mlpstorage_bench.results.separation import fs_separation
from mlpstorage_bench.units import GIB
from tests.checkpointing.results.records import case_of, rank_checkpoint
from tests.checkpointing.runs import parameters
from tests.validation.published import PUBLISHED, is_absent

CASES = [
    case_of(
        "write",
        [
            [rank_checkpoint(0, checkpoint=n, seconds=s), rank_checkpoint(1, checkpoint=n)]
            for n, s in ((1, 4.0), (2, 8.0))
        ],
    ),
    case_of("read", [[rank_checkpoint(0, "read"), rank_checkpoint(1, "read", seconds=1.0)]]),
]


def summary() -> dict[str, object]:
    made = summarise(CASES, host_count=2, total_ranks=2, objections=["a reason"])
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]  # JSON of an object


def test_the_summary_has_writes_and_reads() -> None:
    made = summary()
    assert made["metric"] == {
        "save_checkpoint_io_mean_GB_per_second": (2 / 4 + 2 / 8) / 2,
        "save_checkpoint_io_stdev_GB_per_second": 0.125,
        "save_checkpoint_duration_mean_seconds": 6.0,
        "save_checkpoint_duration_stdev_seconds": 2.0,
        "load_checkpoint_io_mean_GB_per_second": 1.0,
        "load_checkpoint_io_stdev_GB_per_second": 0.0,
        "load_checkpoint_duration_mean_seconds": 2.0,
        "load_checkpoint_duration_stdev_seconds": 0.0,
        "checkpoint_size_GB": 2.0,
    }
    assert (made["num_accelerators"], made["num_hosts"]) == (2, 2)
    assert made["data_size_per_host_GB"] == 2.0, "reads add nothing to what was written"


def test_a_read_phase_has_the_size_of_what_it_read() -> None:
    made = summarise(CASES[1:], host_count=2, total_ranks=2, objections=[])
    assert made["data_size_per_host_GB"] == 1.0


def test_files_were_moved_directly_where_all_ranks_did_so() -> None:
    buffered = case_of("read", [[rank_checkpoint(0, "read", io_mode="buffered")]])
    assert resolved_arguments(CASES) == {"o_direct": True}
    assert resolved_arguments([*CASES, buffered]) == {"o_direct": False}
    assert resolved_arguments([]) == {}


def test_the_summary_states_why_it_is_not_valid() -> None:
    own = summary()["mlpstorage"]
    assert isinstance(own, dict)
    assert (own["valid"], own["not_valid_because"]) == (False, ["a reason"])
    assert own["cases"]["write"]["metrics"]["trials"] == 2


def test_each_rank_has_statistics_with_the_times_of_all() -> None:
    files = dict(files_of_ranks(CASES, 2))
    assert [*files] == [
        "0_per_epoch_stats.json",
        "0_output.json",
        "1_per_epoch_stats.json",
        "1_output.json",
    ]
    epoch = files["1_per_epoch_stats.json"]["1"]
    assert isinstance(epoch, dict)
    assert [*epoch] == ["start", "save_ckpt1", "save_ckpt2", "load_ckpt1", "end"]
    assert epoch["save_ckpt2"]["duration"] == 8.0
    output = files["1_output.json"]["1"]
    assert isinstance(output, dict)
    assert output["read 1"] == {"host": "host1", "seconds": 1.0, "bytes": GIB}


def test_a_run_without_checkpoints_has_no_statistics() -> None:
    assert dict(files_of_ranks([], 2)) == {}
    made = summarise([], host_count=1, total_ranks=2, objections=[])
    assert (made["start"], made["metric"]) == (None, {"checkpoint_size_GB": 0.0})


@pytest.mark.skipif(is_absent(), reason="the published runs are not here")
def test_parameters_are_those_of_a_published_run() -> None:
    (path,) = PUBLISHED.glob("closed/*/results/*/checkpointing/*/20260722_020743/*metadata.json")
    published = json.loads(path.read_text())["parameters"]
    folder = published["checkpoint"]["checkpoint_folder"]
    own = parameters(
        num_checkpoints_write=10, phase="write", time_between_checkpoints=5.0, scale=1.0
    )
    assert reference_parameters(own, folder) == published


def test_filesystems_are_those_of_the_record() -> None:
    record = {
        "host": "node1",
        "cache": {"path": "/mnt/array/cache"},
        "results": {"path": "/home/results"},
        "same_filesystem": False,
    }
    made = fs_separation(record)
    assert made["same_filesystem"] is False
    assert made["data_or_chkpt_path"] == "/mnt/array/cache"
    assert made["results_path"] == "/home/results"
