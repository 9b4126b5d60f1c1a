"""Our runs and published ones, read by a reader that knows the reference's description alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.results.v3_reader import (
    METADATA,
    OPTION_VALUES,
    OPTIONAL,
    RANK,
    RANK_SUMMARY,
    SUMMARY,
    Run,
    aggregates,
    in_memory,
    keys_of_cache_stats,
    missing,
    read,
)

PUBLISHED = Path(__file__).parents[3] / "shared" / "results-v3"
AS_ROOT = ("--allow-run-as-root",) if os.geteuid() == 0 else ()
SMALL = (
    *("--mlps-profile=mlperf", "--mlps-trials=2", "--mlps-set=delay_between_workloads=0"),
    *("--mlps-set=delay_before_trial=0", "--mlps-set=delay_after_trial=0"),
    *("--mlps-set=duration=60", "--mlps-set=requests=20", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0.05"),
    *("--mlps-set=num_users=8", "--mlps-set=workloads.2.cpu_mem_gb=0.004"),
)
TESTS = """
def test_workload(kvcache, kvcache_workload):
    kvcache.run(kvcache_workload)

def test_other(kvcache):
    kvcache.run(1, case="other", num_users=2)
"""


def leaves(root: Path) -> list[Path]:
    return sorted({path.parent for path in root.rglob("summary.json") if "kv_cache" in path.parts})


def whole_leaves() -> list[Path]:
    """Return the published leaves in which every rank file of an option can be there."""
    return [leaf for leaf in leaves(PUBLISHED) if "MEMORY_AE" in leaf.parts]


needs_published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published results")


@needs_published
@pytest.mark.parametrize("leaf", leaves(PUBLISHED), ids=lambda leaf: f"{leaf.parts[-5]}")
def test_published_leaf_is_read(leaf: Path) -> None:
    run = read(leaf)
    assert run.summary is not None
    assert [key for key in SUMMARY if key in run.summary] == list(run.summary)
    if run.metadata is not None:
        check_metadata(run.metadata)
    for file in run.ranks:
        check_rank(file.content)


@needs_published
@pytest.mark.parametrize("leaf", whole_leaves(), ids=lambda leaf: f"{leaf.parts[-5]}")
def test_published_aggregates_follow_from_the_rank_files(leaf: Path) -> None:
    run = read(leaf)
    assert run.summary is not None
    found, recorded = aggregates(run.of_option("1")), run.summary["options"]["1"]
    for name in found.keys() & recorded.keys():
        assert found[name] == recorded[name]
    assert in_memory(run.ranks) == []


def check_metadata(metadata: dict[str, Any]) -> None:
    """Check keys, order and types of a run's metadata."""
    given = [key for key in metadata if key != "mlpstorage"]
    assert given == [key for key in METADATA if key in metadata or key not in OPTIONAL]
    for key in given:
        assert isinstance(metadata[key], METADATA[key]), (key, metadata[key])
    for command in metadata["command_output_files"]:
        assert list(command) == ["command", "stdout", "stderr"]


def check_rank(content: dict[str, Any]) -> None:
    """Check keys and order of a rank's results."""
    assert [key for key in content if key != "mlpstorage"] == list(RANK)
    summary = content["summary"]
    assert list(summary) == list(RANK_SUMMARY)
    stats = summary["cache_stats"]
    assert list(stats) == keys_of_cache_stats(stats)
    assert stats["decode_reads"] == stats["read_iops"] == stats["cache_hits"]
    hits = ("system_prompt_hits", "common_phrase_hits", "user_cache_hits", "multi_turn_hits")
    assert sum(stats[name] for name in hits) == stats["cache_hits"]
    for kind, key in (("read", "read"), ("written", "write")):
        of_time = stats[f"tier_storage_kv_bytes_{kind}_gb"] / summary["elapsed_time"]
        assert of_time == pytest.approx(stats[f"tier_storage_{key}_bandwidth_gbps"])
    latency = summary["storage_io_latency_ms"]["mean"] * summary["total_requests"] / 1000
    assert latency == pytest.approx(summary["total_storage_io_time"])
    assert content["total_storage_io_latency"] == summary["total_storage_io_time"]
    turns = summary["multi_turn_stats"]
    assert turns["cache_hits"] == content["multi_turn_cache_hits"]
    assert turns["cache_misses"] == content["multi_turn_cache_misses"]
    for one in summary["qos_metrics"].values():
        assert list(one) == ["total_requests", "latency_ms", "sla"]
        assert list(one["latency_ms"]) == ["mean", "p50", "p95", "p99", "max"]
        assert list(one["sla"]) == ["target_p95_ms", "actual_p95_ms", "compliance", "met"]
    health = stats["storage_health"]
    assert health["total_count"] == len(health["criteria"])
    assert health["passed_count"] == sum(one["passed"] for one in health["criteria"])


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two ranks with the three options and another case."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "test_own.py").write_text(TESTS)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLPERF_"))}
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SMALL),
        *("--num-processes=2", "--oversubscribe", *AS_ROOT),
        *("--mlps-results-dir=results", "--mlps-cache-dir=cache"),
    ]
    done = subprocess.run(
        command, cwd=folder, env=environ, check=False, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (leaf,) = leaves(folder / "results")
    return read(leaf)


@pytest.mark.launches_mpi
@pytest.mark.slow
class TestOwnRun:
    """A run of ours, as the reference's readers see it."""

    def test_metadata_has_keys_order_and_types(self, own_run: Run) -> None:
        metadata = own_run.metadata
        assert metadata is not None
        check_metadata(metadata)
        assert metadata["run_datetime"] == own_run.path.name
        assert metadata["result_dir"] == str(own_run.path)
        assert (metadata["verification"], metadata["exit_status"]) == ("OPEN", 0)
        parameters = metadata["parameters"]
        assert list(parameters["options"]) == ["1", "2", "3"]
        for option in parameters["options"].values():
            assert list(option) == list(OPTION_VALUES)
        assert list(parameters["sequence"]) == [
            *("seed", "trials", "inter_option_delay_s", "config"),
        ]
        assert parameters["features"]["entry_scale"] == 0.001
        assert metadata["args"]["cache_dir"].endswith("/cache")
        (launch,) = metadata["command_output_files"]
        assert launch["command"] == metadata["executed_command"]
        logs = [own_run.path / launch[name] for name in ("stdout", "stderr")]
        assert all(log.is_file() for log in logs), logs

    def test_counters_of_the_hosts_are_there_before_and_after(self, own_run: Run) -> None:
        assert own_run.metadata is not None
        snapshots = own_run.metadata["cluster_snapshots"]
        assert list(snapshots) == ["start", "end", "collection_method"]
        before, after = snapshots["start"], snapshots["end"]
        assert {"hosts", "num_hosts", "collection_method"} <= before.keys() & after.keys()
        assert before["collection_timestamp"] <= after["collection_timestamp"]
        for one, other in zip(before["hosts"], after["hosts"], strict=True):
            assert one["hostname"] == other["hostname"]
            later = {disk["device_name"]: disk for disk in other["disks"] or ()}
            for disk in one["disks"] or ():
                name = disk["device_name"]
                if name in later and not name.startswith("loop"):
                    assert disk["sectors_read"] <= later[name]["sectors_read"]

    def test_options_alone_are_options(self, own_run: Run) -> None:
        assert own_run.summary is not None
        assert list(own_run.summary)[:-1] == list(SUMMARY)
        assert list(own_run.summary["options"]) == ["1", "2", "3"]
        own = own_run.summary["mlpstorage"]["cases"]
        assert sorted(own) == ["1", "2", "3", "other"]
        assert own["other"]["aggregated_read_bandwidth_gbps"] > 0
        assert len(list(own_run.path.glob("case_other/trial_[01]/rank_[01]/*.json"))) == 4

    def test_rank_files_have_every_key_in_order(self, own_run: Run) -> None:
        assert len(own_run.ranks) == 3 * 2 * 2
        for file in own_run.ranks:
            check_rank(file.content)
            assert file.content["seed"] == 42 + file.rank
        used = {name for file in own_run.ranks for name in file.content["summary"]["cache_stats"]}
        assert {"cpu_read_p95_ms", "storage_read_host_p95_ms", "storage_write_p95_ms"} <= used

    def test_aggregates_follow_from_the_rank_files_to_the_last_digit(self, own_run: Run) -> None:
        assert own_run.summary is not None
        for option, recorded in own_run.summary["options"].items():
            files = own_run.of_option(option)
            assert {name: recorded[name] for name in aggregates(files)} == aggregates(files)
            assert recorded["cpu_tier_ranks"] == in_memory(files)
            assert recorded["missing_files"] == missing(own_run, option) == []
            assert (recorded["rank_count"], recorded["trial_count"]) == (2, 2)
            assert recorded["option"] == int(option)

    def test_validation_finds_no_violation_that_a_writer_can_avoid(self, own_run: Run) -> None:
        found = {one.rule: one for one in validate(read_tree(own_run.path))}
        violated = {rule for rule, one in found.items() if one.verdict is Verdict.VIOLATED}
        of_submission, one_filesystem = {"2.1.5", "2.1.6", "2.1.7", "2.1.8"}, {"6.4.1"}
        assert violated <= of_submission | one_filesystem
        for rule in ("LEAF-01", "X-summary-name", "X-rank-files", "X-bytes", "X-equal-trials"):
            assert found[rule].verdict is Verdict.OK, found[rule]
        for rule in ("6.3.4.1", "6.3.4.2", "6.3.4.3", "6.3.4.4", "6.3.4.5"):
            assert found[rule].verdict is Verdict.OK, found[rule]
