"""Every rule: met by a made-up submission, and violated or warned of once that is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.cluster.findings import FLUSH, FUNCTIONS
from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import Finding, validate
from tests.validation.rules_page import FOLDER, example_in, example_of
from tests.validation.trees import (
    ORGANIZATION,
    SYSTEM,
    Submission,
    change,
    kv_command,
    submission_of_every_type,
    write,
)

Break = Callable[[Submission], object]
OK, VIOLATED, WARNING, UNKNOWN = (
    Verdict.OK,
    Verdict.VIOLATED,
    Verdict.WARNING,
    Verdict.UNKNOWN,
)

NEVER_JUDGED = {
    *("1.1", "2.1.3", "2.1.4", "2.1.27", "2.29"),  # no file says, or no demand
    *("3.3.5", "3.3.8", "3.6.1", "4.3.6", "5.6.1", "6.4.2", "6.5.2"),
    *("EDN-02",),  # its hashes are not published as data
}
"""Rules that no tree can be shown to violate."""


def kv_metadata(made: Submission) -> Path:
    return next(made.kv_leaf.glob("kv_cache_*_metadata.json"))


def metadata_of(leaf: Path) -> Path:
    return next(leaf.glob("*_metadata.json"))


def run_of(workload: Path) -> Path:
    return max((workload / "run").glob("2*"))


def leaf_of(workload: Path, number: int = 0) -> Path:
    return sorted(workload.glob("2*"))[number]


def set_args(path: Path, **values: object) -> None:
    change(path, lambda document: document["args"].update(values))


def set_keys(path: Path, value: object, *keys: str) -> None:
    def act(document: Any) -> None:
        for key in keys[:-1]:
            document = document.setdefault(key, {})
        document[keys[-1]] = value

    change(path, act)


def dropped_caches(made: Submission) -> None:
    """Write less than the memory, and drop caches before the reads."""
    path = metadata_of(leaf_of(made.checkpointing))
    set_args(path, client_host_memory_in_gb=4000)
    set_keys(path, ["dropped", ""], "mlpstorage", "metrics", "read", "caches")


def set_device_latency(made: Submission, value: float | None) -> None:
    """Give every option of the summary an aggregate that no rank file of it has."""
    for option in ("1", "2", "3"):
        keys = ("options", option, "aggregated_device_read_p95_ms")
        set_keys(made.kv_leaf / "summary.json", value, *keys)


def record_sequence(
    made: Submission, before_s: float = 90, paused_s: float = 90.01, trials: int = 3
) -> None:
    """Record the sequence as our own metadata has it."""
    steps = [
        {"option": option, "step": step, "trial": trial + 1, "seconds": paused_s}
        for option in (1, 2, 3)
        for trial in range(trials)
        for step in ("pause_before_trial", "trial", "pause_after_trial")
    ]
    delays = {"delay_before_trial_s": before_s, "delay_after_trial_s": 90}
    set_keys(kv_metadata(made), {**delays, "steps": steps}, "mlpstorage", "sequence")


def with_commands(made: Submission, old: str, new: str) -> None:
    path = kv_metadata(made)
    path.write_text(path.read_text().replace(old, new))


def set_option(made: Submission, name: str, value: object) -> None:
    set_keys(made.kv_leaf / "summary.json", value, "options", "1", name)


def set_rank(made: Submission, value: object, *keys: str, rank: int = 0, trial: int = 0) -> None:
    place = made.kv_leaf / "option_1" / f"trial_{trial}" / f"rank_{rank}"
    set_keys(next(place.glob("*.json")), value, *keys)


def set_description(made: Submission, value: object, *keys: str) -> None:
    import yaml  # noqa: PLC0415 - used here alone

    path = made.organization / "systems" / f"{SYSTEM}.yaml"
    document = yaml.safe_load(path.read_text())
    place = document["system_under_test"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(yaml.safe_dump(document))


def as_open(made: Submission) -> None:
    (made.top / "closed").rename(made.top / "open")
    made.division = "open"


def add_flag(made: Submission, flag: str) -> None:
    with_commands(made, "--generation-mode none", f"--generation-mode none {flag}")


def stamp(made: Submission, **more: object) -> None:
    content = {
        "schema": "mlps-run-provenance/1",
        "rules_edition": "3.0",
        "tool": {"code_image": f"md5-tree-v2:{made.image_hash}"},
        "core_config": {"hash": "unknown"},
        "dlio": {"commit": "unknown"},
        **more,
    }
    write(made.kv_leaf / "provenance.json", content)


def stamp_checkpointing(made: Submission) -> None:
    stamp(made)
    shutil.move(made.kv_leaf / "provenance.json", leaf_of(made.checkpointing))


def preload(made: Submission, libraries: str) -> None:
    with_commands(made, "--npernode 1", f"--npernode 1 -x LD_PRELOAD={libraries}")


def checked(made: Submission, functions: str, flush: str = "ok") -> None:
    """Record the run's own checks of its host, and a preloaded library."""
    checks = [
        {"check": name, "host": "h1", "verdict": verdict, "seen": "state"}
        for name, verdict in ((FUNCTIONS, functions), (FLUSH, flush))
    ]
    processes = [{"ranks": [0], "preloads": {"ld_preload": "/opt/any.so", "ld_audit": ""}}]
    facts = {"hosts": [{"hostname": "h1", "processes": processes}], "checks": checks}
    set_keys(kv_metadata(made), facts, "system_info", "mlpstorage")


def unflushed_with_preload(made: Submission) -> None:
    set_rank(made, 0.01, "summary", "cache_stats", "storage_write_device_p50_ms")
    preload(made, "/opt/libeatmydata.so")


def second_run(made: Submission) -> None:
    shutil.copytree(made.kv_leaf, made.kv_leaf.with_name("20260801_140000"))


def roll_up(made: Submission) -> None:
    write(made.organization / "results" / "results.json", [{"Public ID": "v3.0-0001"}])


def manifest(made: Submission) -> None:
    (made.organization / "submission.yaml").write_text(
        "schema: mlps-submission-manifest/1\nrules_edition: '3.0'\n"
        "runs:\n- leaf: results/x/20200101_000000\n"
    )


def copy_trial(made: Submission) -> None:
    first, second = (made.kv_leaf / "option_1" / f"trial_{trial}" / "rank_0" for trial in (0, 1))
    source, target = next(first.glob("*.json")), next(second.glob("*.json"))
    shutil.copy(source, target)


def summary_of(made: Submission, workload: Path) -> Path:
    del made
    return run_of(workload) / "summary.json"


def open_training(made: Submission) -> None:
    set_args(metadata_of(run_of(made.training)), params=["train.epochs=1"])
    as_open(made)


def subset_of_four(made: Submission) -> None:
    path = metadata_of(leaf_of(made.checkpointing))
    set_keys(path, "subset", "parameters", "checkpoint", "mode")
    set_keys(path, 4, "num_processes")


def open_70b_of_nine(made: Submission) -> None:
    set_keys(metadata_of(leaf_of(made.checkpointing)), 9, "num_processes")
    made.checkpointing.rename(made.checkpointing.with_name("llama3-70b"))
    as_open(made)


def drop_capability(made: Submission, name: str) -> None:
    capabilities = made.description["system_under_test"]["solution"]["capabilities"]
    rest = {key: value for key, value in capabilities.items() if key != name}
    set_description(made, rest, "solution", "capabilities")


def open_other_database(made: Submission) -> None:
    set_keys(summary_of(made, made.vectors), {"database": "sqlite"}, "database")
    as_open(made)


def second_file_of_rank(made: Submission) -> None:
    place = made.kv_leaf / "option_1" / "trial_0" / "rank_0"
    shutil.copy(next(place.glob("*.json")), place / "kvcache_results_20260801_120500.json")


def open_without_commands(made: Submission) -> None:
    set_keys(kv_metadata(made), [], "command_output_files")
    as_open(made)


def object_system(made: Submission) -> None:
    set_description(made, "object", "solution", "architecture", "benchmark_API")
    set_description(made, "object", "solution", "architecture", "product_API")


def equal_tables(made: Submission) -> None:
    roll_up(made)
    write(made.checkpointing / "results.json", [{"Public ID": "v3.0-0001"}])


def true_manifest(made: Submission) -> None:
    leaves = [leaf.path.relative_to(made.organization) for leaf in read_tree(made.top).leaves]
    runs = [{"leaf": leaf.as_posix()} for leaf in leaves]
    text = json.dumps(
        {"schema": "mlps-submission-manifest/1", "rules_edition": "3.0", "runs": runs}
    )
    (made.organization / "submission.yaml").write_text(text)


def manifest_of_other_edition(made: Submission) -> None:
    true_manifest(made)
    stamp(made, rules_edition="2.0")


def open_with_other_option(made: Submission) -> None:
    add_flag(made, "--skip-reads")
    as_open(made)


def open_with_preload(made: Submission) -> None:
    preload(made, "/opt/libnofadvise.so")
    as_open(made)


CASES: list[tuple[str, str, Verdict, Break]] = [
    (
        "1.2",
        "exported variable",
        VIOLATED,
        lambda m: with_commands(m, "--npernode 1", "--npernode 1 -x S3DLIO_RANGE=1"),
    ),
    (
        "2.1.1",
        "blank in name",
        VIOLATED,
        lambda m: m.organization.rename(m.organization.with_name("a vendor")),
    ),
    ("2.1.2", "another directory", VIOLATED, lambda m: (m.top / "drafts").mkdir()),
    ("2.1.5", "another directory", VIOLATED, lambda m: (m.organization / "code2").mkdir()),
    ("2.1.6", "dead pointer", VIOLATED, lambda m: shutil.rmtree(m.image)),
    (
        "2.1.6",
        "bad pointer",
        VIOLATED,
        lambda m: (m.kv_leaf / ".mlps-code-image").write_text("md5:1"),
    ),
    (
        "2.1.7",
        "no pdf",
        VIOLATED,
        lambda m: (m.organization / "systems" / f"{SYSTEM}.pdf").unlink(),
    ),
    ("2.1.7", "unknown key", VIOLATED, lambda m: set_description(m, 1, "price")),
    ("2.1.7", "wrong total", VIOLATED, lambda m: set_description(m, 7, "total_rack_units")),
    (
        "2.1.8",
        "no description",
        VIOLATED,
        lambda m: (m.organization / "systems" / f"{SYSTEM}.yaml").unlink(),
    ),
    (
        "2.1.9",
        "other processor",
        VIOLATED,
        lambda m: change(
            metadata_of(run_of(m.training)),
            lambda d: d["system_info"]["hosts"][0]["cpu"].update(model="Another"),
        ),
    ),
    ("2.1.10", "another type", VIOLATED, lambda m: (m.system / "block").mkdir()),
    (
        "2.1.11",
        "another model",
        VIOLATED,
        lambda m: m.training.rename(m.training.with_name("bert")),
    ),
    ("2.1.12", "no datagen", VIOLATED, lambda m: shutil.rmtree(m.training / "datagen")),
    ("2.1.13", "no datagen", VIOLATED, lambda m: shutil.rmtree(m.training / "datagen")),
    (
        "2.1.14",
        "no log",
        VIOLATED,
        lambda m: (leaf_of(m.training / "datagen") / "dlio.log").unlink(),
    ),
    (
        "2.1.15",
        "another file",
        VIOLATED,
        lambda m: (leaf_of(m.training / "datagen") / "dlio_config" / "x.yaml").touch(),
    ),
    ("2.1.16", "no table", VIOLATED, lambda m: (m.training / "run" / "results.json").unlink()),
    ("2.1.17", "five runs", VIOLATED, lambda m: shutil.rmtree(run_of(m.training))),
    (
        "2.1.18",
        "a gap",
        VIOLATED,
        lambda m: run_of(m.training).rename(m.training / "run" / "20260802_150000"),
    ),
    (
        "2.1.18",
        "last run resumed late",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(run_of(m.training)),
            {"pauses": [{"seconds": 3600}]},
            *("mlpstorage", "resumed"),
        ),
    ),
    ("2.1.19", "no summary", VIOLATED, lambda m: (run_of(m.training) / "summary.json").unlink()),
    (
        "2.1.20",
        "no config",
        VIOLATED,
        lambda m: (run_of(m.training) / "dlio_config" / "hydra.yaml").unlink(),
    ),
    (
        "2.1.21",
        "another model",
        VIOLATED,
        lambda m: m.checkpointing.rename(m.checkpointing.with_name("llama4")),
    ),
    ("2.1.22", "no table", VIOLATED, lambda m: (m.checkpointing / "results.json").unlink()),
    (
        "2.1.23",
        "three",
        VIOLATED,
        lambda m: shutil.copytree(leaf_of(m.checkpointing), m.checkpointing / "20260803_120000"),
    ),
    (
        "2.1.24",
        "a gap",
        VIOLATED,
        lambda m: leaf_of(m.checkpointing, 1).rename(m.checkpointing / "20260803_140000"),
    ),
    ("2.1.25", "no log", VIOLATED, lambda m: (leaf_of(m.checkpointing) / "dlio.log").unlink()),
    (
        "2.1.26",
        "no config",
        VIOLATED,
        lambda m: shutil.rmtree(leaf_of(m.checkpointing) / "dlio_config"),
    ),
    ("LEAF-01", "none", VIOLATED, lambda m: kv_metadata(m).unlink()),
    (
        "LEAF-01",
        "two",
        VIOLATED,
        lambda m: shutil.copy(kv_metadata(m), m.kv_leaf / "kv_cache_2_metadata.json"),
    ),
    ("CHECK-02", "changed file", WARNING, lambda m: (m.image / "main.py").write_text("pass\n")),
    (
        "CHECK-03",
        "unused image",
        WARNING,
        lambda m: shutil.copytree(m.image, m.image.with_name("code-00000000")),
    ),
    ("CHECK-04", "code directory", VIOLATED, lambda m: (m.organization / "code").mkdir()),
    ("RPT-01", "other ids", VIOLATED, roll_up),
    (
        "PROV-01",
        "other image",
        VIOLATED,
        lambda m: stamp(m, tool={"code_image": "md5-tree-v2:0"}),
    ),
    ("PROV-02", "stale manifest", VIOLATED, manifest),
    ("PROV-02", "other edition", VIOLATED, manifest_of_other_edition),
    ("EDN-01", "unknown edition", VIOLATED, lambda m: stamp(m, rules_edition="9.0")),
    ("EDN-04", "unknown edition", VIOLATED, lambda m: stamp(m, rules_edition="9.0")),
    ("EDN-03", "no commit", WARNING, stamp_checkpointing),
    ("3.1.1", "no datasize", VIOLATED, lambda m: shutil.rmtree(m.training / "datasize")),
    (
        "3.1.2",
        "too few files",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(leaf_of(m.training / "datasize")),
            100,
            *("parameters", "dataset", "num_files_train"),
        ),
    ),
    (
        "3.2.1",
        "too few files",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(leaf_of(m.training / "datagen")),
            100,
            *("parameters", "dataset", "num_files_train"),
        ),
    ),
    (
        "3.3.1",
        "other files",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(run_of(m.training)), "100", "parameters", "dataset", "num_files_train"
        ),
    ),
    (
        "3.3.2",
        "low utilization",
        VIOLATED,
        lambda m: set_keys(
            run_of(m.training) / "summary.json", 89.0, "metric", "train_au_mean_percentage"
        ),
    ),
    (
        "3.3.3",
        "little memory",
        WARNING,
        lambda m: set_args(metadata_of(run_of(m.training)), client_host_memory_in_gb=1),
    ),
    (
        "3.3.4",
        "two clients",
        VIOLATED,
        lambda m: set_keys(run_of(m.training) / "summary.json", 2, "num_hosts"),
    ),
    (
        "3.3.6",
        "unequal hosts",
        VIOLATED,
        lambda m: set_args(metadata_of(run_of(m.training)), hosts=["a:3", "b:1"]),
    ),
    (
        "3.3.7",
        "unequal hosts",
        WARNING,
        lambda m: change(
            metadata_of(run_of(m.training)),
            lambda d: d["system_info"]["hosts"].append({"memory": {"total": 2**30}}),
        ),
    ),
    (
        "3.4.1",
        "same directory",
        VIOLATED,
        lambda m: set_args(metadata_of(run_of(m.training)), results_dir="/data"),
    ),
    (
        "3.4.2",
        "one filesystem",
        VIOLATED,
        lambda m: write(run_of(m.training) / "fs_separation.json", {"same_filesystem": True}),
    ),
    (
        "3.6.2",
        "other parameter",
        VIOLATED,
        lambda m: set_args(metadata_of(run_of(m.training)), params=["train.epochs=1"]),
    ),
    ("3.6.3", "other parameter", VIOLATED, open_training),
    (
        "4.3.1",
        "much memory",
        WARNING,
        lambda m: set_args(metadata_of(leaf_of(m.checkpointing)), client_host_memory_in_gb=4000),
    ),
    (
        "4.3.2",
        "no fsync",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(leaf_of(m.checkpointing)), "False", "parameters", "checkpoint", "fsync"
        ),
    ),
    (
        "4.3.3",
        "other shape",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(leaf_of(m.checkpointing)), 16, "parameters", "model", "num_layers"
        ),
    ),
    (
        "4.3.4",
        "little memory",
        VIOLATED,
        lambda m: set_keys(
            leaf_of(m.checkpointing) / "summary.json", 5000, "metric", "checkpoint_size_GB"
        ),
    ),
    ("4.3.5", "four processes", VIOLATED, subset_of_four),
    (
        "4.4.1",
        "same directory",
        VIOLATED,
        lambda m: set_args(metadata_of(leaf_of(m.checkpointing)), results_dir="/data"),
    ),
    (
        "4.4.2",
        "one filesystem",
        VIOLATED,
        lambda m: write(leaf_of(m.checkpointing) / "fs_separation.json", {"same_filesystem": True}),
    ),
    (
        "4.6.1",
        "four processes",
        VIOLATED,
        lambda m: set_keys(metadata_of(leaf_of(m.checkpointing)), 4, "num_processes"),
    ),
    (
        "4.6.2",
        "one per host",
        VIOLATED,
        lambda m: set_args(
            metadata_of(leaf_of(m.checkpointing)), hosts=[f"n{i}:1" for i in range(8)]
        ),
    ),
    (
        "4.6.3",
        "five checkpoints",
        VIOLATED,
        lambda m: set_args(metadata_of(leaf_of(m.checkpointing)), num_checkpoints_write=5),
    ),
    ("4.6.4", "no multiple", VIOLATED, open_70b_of_nine),
    (
        "4.7.1",
        "late",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(leaf_of(m.checkpointing, 1)), "2026-08-03T10:11:10", "invocation_start_time"
        ),
    ),
    (
        "4.7.1",
        "other clocks",
        WARNING,
        lambda m: set_keys(
            metadata_of(leaf_of(m.checkpointing, 1)), "2026-08-03T10:09:10", "invocation_start_time"
        ),
    ),
    (
        "4.7.2",
        "ends first",
        VIOLATED,
        lambda m: set_keys(leaf_of(m.checkpointing) / "summary.json", "2026-08-01T10:00:00", "end"),
    ),
    ("4.7.3", "no time", VIOLATED, lambda m: drop_capability(m, "remap_time_in_seconds")),
    ("4.7.4", "not declared", WARNING, lambda m: drop_capability(m, "simultaneous_read")),
    (
        "5.1.1",
        "other scale",
        VIOLATED,
        lambda m: set_keys(summary_of(m, m.vectors), 5, "num_vectors"),
    ),
    (
        "5.1.2",
        "other dimension",
        VIOLATED,
        lambda m: set_keys(summary_of(m, m.vectors), 768, "dimension"),
    ),
    (
        "5.2.1",
        "fewer vectors",
        VIOLATED,
        lambda m: set_keys(
            leaf_of(m.vectors / "datagen") / "summary.json", 999, "inserted_vectors"
        ),
    ),
    (
        "5.2.2",
        "other index",
        VIOLATED,
        lambda m: set_keys(leaf_of(m.vectors / "datagen") / "summary.json", "HNSW", "index_type"),
    ),
    ("5.3.1", "four runs", VIOLATED, lambda m: shutil.rmtree(run_of(m.vectors))),
    (
        "5.3.2",
        "no recall",
        VIOLATED,
        lambda m: change(summary_of(m, m.vectors), lambda d: d.pop("recall")),
    ),
    ("5.3.3", "no minimum", UNKNOWN, lambda _: None),
    (
        "5.3.4",
        "no percentile",
        VIOLATED,
        lambda m: change(summary_of(m, m.vectors), lambda d: d.pop("p99_latency_ms")),
    ),
    (
        "5.3.5",
        "invalid",
        VIOLATED,
        lambda m: write(
            run_of(m.vectors) / "vectordb" / "timed" / "result_verdict.json", {"valid": False}
        ),
    ),
    (
        "5.4.1",
        "same directory",
        VIOLATED,
        lambda m: set_args(metadata_of(run_of(m.vectors)), results_dir="/data"),
    ),
    (
        "5.4.2",
        "one filesystem",
        VIOLATED,
        lambda m: write(run_of(m.vectors) / "fs_separation.json", {"same_filesystem": True}),
    ),
    (
        "5.5.1",
        "no object product",
        VIOLATED,
        lambda m: set_description(m, "object", "solution", "architecture", "benchmark_API"),
    ),
    (
        "5.6.2",
        "other database",
        VIOLATED,
        lambda m: set_keys(summary_of(m, m.vectors), {"database": "pgvector"}, "database"),
    ),
    (
        "5.6.3",
        "other index",
        VIOLATED,
        lambda m: set_keys(summary_of(m, m.vectors), "IVF_FLAT", "index_type"),
    ),
    (
        "5.6.4",
        "other parameter",
        VIOLATED,
        lambda m: set_keys(
            metadata_of(run_of(m.vectors)), {"database.host": "x"}, "override_parameters"
        ),
    ),
    ("5.6.5", "other database", VIOLATED, open_other_database),
    (
        "6.3.1.1",
        "other users",
        VIOLATED,
        lambda m: with_commands(m, "--num-users 200", "--num-users 150"),
    ),
    (
        "6.3.1.1",
        "recorded options",
        VIOLATED,
        lambda m: set_keys(
            kv_metadata(m),
            {"1": {"model": "llama3.1-8b", "num_users": 10}},
            "parameters",
            "options",
        ),
    ),
    ("6.3.2.1", "delay", VIOLATED, lambda m: set_args(kv_metadata(m), inter_option_delay=20)),
    ("6.3.2.1", "pause", VIOLATED, lambda m: record_sequence(m, before_s=20)),
    ("6.3.2.1", "interrupted pause", VIOLATED, lambda m: record_sequence(m, paused_s=89)),
    ("6.3.2.1", "trial left out", VIOLATED, lambda m: record_sequence(m, trials=2)),
    ("6.3.2.1", "seed", VIOLATED, lambda m: with_commands(m, "--seed-base 42", "--seed-base 7")),
    ("6.3.2.2", "autoscaling", VIOLATED, lambda m: add_flag(m, "--enable-autoscaling")),
    (
        "6.3.3.1",
        "other ranks",
        VIOLATED,
        lambda m: set_keys(m.kv_leaf / "summary.json", 3, "total_ranks"),
    ),
    (
        "6.3.3.2",
        "fewer users",
        VIOLATED,
        lambda m: with_commands(m, "--num-users 200", "--num-users 100"),
    ),
    ("6.3.3.2", "other seed", VIOLATED, lambda m: set_rank(m, 99, "seed")),
    ("6.3.3.3", "two files", VIOLATED, second_file_of_rank),
    (
        "6.3.3.4",
        "one marker",
        VIOLATED,
        lambda m: next((m.kv_leaf / ".fs_probe").glob("*node2.ok")).unlink(),
    ),
    (
        "6.3.4.1",
        "raised",
        VIOLATED,
        lambda m: set_option(m, "aggregated_read_bandwidth_gbps", 99.0),
    ),
    (
        "6.3.4.2",
        "raised",
        VIOLATED,
        lambda m: set_option(m, "aggregated_storage_throughput_tokens_per_sec", 99.0),
    ),
    ("6.3.4.3", "lowered", VIOLATED, lambda m: set_option(m, "aggregated_p95_latency_ms", 1.0)),
    (
        "6.3.4.3",
        "device",
        VIOLATED,
        lambda m: set_option(m, "aggregated_storage_read_p95_ms", 1.0),
    ),
    (
        "6.3.4.3",
        "null where no rank has one",
        OK,
        lambda m: set_device_latency(m, None),
    ),
    (
        "6.3.4.4",
        "all in memory",
        VIOLATED,
        lambda m: set_option(m, "cpu_tier_ranks", [f"rank_{n}" for n in range(6)]),
    ),
    (
        "6.3.4.5",
        "no figure",
        VIOLATED,
        lambda m: set_option(m, "aggregated_p95_latency_ms", None),
    ),
    (
        "6.4.1",
        "same directory",
        VIOLATED,
        lambda m: set_args(kv_metadata(m), results_dir="/data/kv/"),
    ),
    (
        "6.4.1",
        "one filesystem",
        VIOLATED,
        lambda m: set_keys(kv_metadata(m), {"same_filesystem": True}, "mlpstorage", "filesystems"),
    ),
    (
        "6.5.1",
        "object",
        VIOLATED,
        lambda m: set_description(m, "object", "solution", "architecture", "benchmark_API"),
    ),
    ("6.6.1", "other option", VIOLATED, lambda m: add_flag(m, "--performance-profile throughput")),
    ("6.6.2", "other option", VIOLATED, open_with_other_option),
    ("6.6.3", "no command", VIOLATED, open_without_commands),
    ("X-preload", "no-op flush", VIOLATED, lambda m: preload(m, "/opt/libeatmydata.so")),
    ("X-preload", "allocator", WARNING, lambda m: preload(m, "/usr/lib/libtcmalloc_minimal.so.4")),
    (
        "X-preload",
        "by MPI options",
        VIOLATED,
        lambda m: set_args(kv_metadata(m), mpi_params=["-x", "LD_PRELOAD=/opt/libnofadvise.so"]),
    ),
    ("X-preload", "open", WARNING, open_with_preload),
    ("X-preload", "finding of the run", VIOLATED, lambda m: checked(m, "finding", "finding")),
    ("X-preload", "finding beside others", VIOLATED, lambda m: checked(m, "ok", "finding")),
    ("X-preload", "harmless library", OK, lambda m: checked(m, "ok", "ok")),
    ("X-preload", "functions not looked up", VIOLATED, lambda m: checked(m, "not measurable")),
    ("X-preload", "flush not measurable", OK, lambda m: checked(m, "ok", "not measurable")),
    (
        "X-fsync",
        "fast flush",
        WARNING,
        lambda m: set_rank(m, 0.01, "summary", "cache_stats", "storage_write_device_p50_ms"),
    ),
    ("X-fsync", "fast flush with preload", VIOLATED, unflushed_with_preload),
    (
        "X-drain",
        "long request",
        WARNING,
        lambda m: set_rank(m, [1.0, 450.0], "end_to_end_latencies"),
    ),
    ("X-rank-files", "lost", VIOLATED, lambda m: shutil.rmtree(m.kv_leaf / "option_3")),
    (
        "X-missing-ranks",
        "missing",
        VIOLATED,
        lambda m: set_option(m, "missing_files", ["option_1/trial_0/rank_1"]),
    ),
    (
        "X-missing-ranks",
        "failed trial",
        VIOLATED,
        lambda m: set_keys(
            m.kv_leaf / "summary.json", {"2": [{"trial": 1, "exit_code": 1}]}, "trial_failures"
        ),
    ),
    (
        "X-hosts",
        "launcher only",
        VIOLATED,
        lambda m: set_keys(kv_metadata(m), 1, "system_info", "num_hosts"),
    ),
    (
        "X-summary-name",
        "former name",
        VIOLATED,
        lambda m: (m.kv_leaf / "summary.json").rename(m.kv_leaf / "kvcache_run_summary_1.json"),
    ),
    ("X-several-runs", "two", WARNING, second_run),
    (
        "X-rate",
        "above the links",
        VIOLATED,
        lambda m: set_option(m, "aggregated_read_bandwidth_gbps", 99.0),
    ),
    (
        "X-bytes",
        "raised",
        VIOLATED,
        lambda m: set_rank(m, 9e4, "summary", "cache_stats", "tier_storage_kv_bytes_read_gb"),
    ),
    (
        "X-wall",
        "too short",
        VIOLATED,
        lambda m: set_keys(kv_metadata(m), "2026-08-01T12:30:00", "invocation_end_time"),
    ),
    (
        "X-wall",
        "resumed",
        WARNING,
        lambda m: set_keys(kv_metadata(m), {"parts": [{}, {}]}, "mlpstorage", "resumed"),
    ),
    ("X-equal-trials", "copied", VIOLATED, copy_trial),
]


def findings_of(made: Submission) -> list[Finding]:
    return validate(read_tree(made.top))


@pytest.mark.slow
def test_made_up_submission_violates_nothing(submission: Submission) -> None:
    wrong = [
        finding
        for finding in findings_of(submission)
        if finding.verdict in (Verdict.VIOLATED, Verdict.WARNING)
    ]
    assert wrong == []


def first_cases() -> list[tuple[str, Verdict, Break]]:
    """Return the first case of each rule, whose finding is the example of the rule's page."""
    first = {rule: (rule, verdict, act) for rule, _, verdict, act in reversed(CASES)}
    return [*first.values()]


def finding_of(folder: Path, rule: str, verdict: Verdict, act: Break) -> tuple[Finding, Path]:
    """Return the finding on a made-up tree in a folder that breaks a rule, and the tree's root."""
    made = submission_of_every_type(folder / "tree")
    act(made)
    return next(f for f in findings_of(made) if (f.rule, f.verdict) == (rule, verdict)), made.top


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "verdict", "act"),
    [pytest.param(rule, verdict, act, id=f"{rule} {name}") for rule, name, verdict, act in CASES],
)
def test_broken_rule_is_found(tmp_path: Path, rule: str, verdict: Verdict, act: Break) -> None:
    finding, root = finding_of(tmp_path, rule, verdict, act)
    if (rule, verdict, act) in first_cases():
        page = (FOLDER / f"{rule}.md").read_text()
        assert example_in(page) == example_of(finding, root)


def test_every_rule_has_a_broken_case_or_can_never_be_judged() -> None:
    assert {rule.id for rule in RULES.all()} == {case[0] for case in CASES} | NEVER_JUDGED


@pytest.mark.slow
def test_every_rule_that_can_be_met_is_met_by_the_made_up_submission(
    submission: Submission,
) -> None:
    stamp(submission)
    stamp_checkpointing(submission)
    stamp(submission)
    met = {f.rule for f in findings_of(submission) if f.verdict is Verdict.OK}
    as_open(submission)
    met |= {f.rule for f in findings_of(submission) if f.verdict is Verdict.OK}
    never_met = {
        *("1.1", "2.1.27", "2.29", "3.3.5", "3.3.8", "3.6.1", "4.3.6", "5.6.1", "6.4.2", "6.5.2"),
        *("5.3.2", "5.3.3", "EDN-02", "EDN-03"),  # minima and hashes are not published
        *("4.3.5", "5.5.1", "RPT-01", "PROV-02"),  # met below, by trees of another kind
    }
    assert {rule.id for rule in RULES.all()} - met == never_met


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "act"),
    [
        ("4.3.1", dropped_caches),
        (
            "4.3.5",
            lambda m: set_keys(
                metadata_of(leaf_of(m.checkpointing)), "subset", "parameters", "checkpoint", "mode"
            ),
        ),
        ("5.5.1", object_system),
        ("RPT-01", equal_tables),
        ("PROV-02", true_manifest),
    ],
)
def test_rule_on_another_kind_of_tree_is_met(submission: Submission, rule: str, act: Break) -> None:
    act(submission)
    assert Verdict.OK in {f.verdict for f in findings_of(submission) if f.rule == rule}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("caches", "verdict"),
    [
        (["dropped", "", "dropped"], Verdict.OK),
        (["3 pages left", "", "dropped"], Verdict.WARNING),
        (["dropped", "", "3 pages left"], Verdict.WARNING),
        (["", "dropped"], Verdict.WARNING),
        ([], Verdict.WARNING),
    ],
)
def test_every_drop_of_caches_is_judged(
    submission: Submission, caches: list[str], verdict: Verdict
) -> None:
    dropped_caches(submission)
    path = metadata_of(leaf_of(submission.checkpointing))
    set_keys(path, caches, "mlpstorage", "metrics", "read", "caches")
    assert verdict in {f.verdict for f in findings_of(submission) if f.rule == "4.3.1"}


@pytest.mark.slow
def test_all_problems_of_a_rule_are_given(submission: Submission) -> None:
    for option in ("1", "2"):
        path = submission.kv_leaf / "summary.json"
        set_keys(path, 99.0, "options", option, "aggregated_read_bandwidth_gbps")
    found = next(f for f in findings_of(submission) if f.rule == "6.3.4.1")
    assert len(found.reasons) == 2
    assert all("99.0; its ranks give" in reason for reason in found.reasons)


@pytest.mark.slow
def test_places_of_findings_are_paths_in_the_tree(tmp_path: Path) -> None:
    made = submission_of_every_type(tmp_path)
    subjects = {finding.subject for finding in validate(read_tree(made.top))}
    assert [one for one in subjects if not (made.top / one).exists()] == []


@pytest.mark.slow
def test_part_of_a_tree_is_judged_by_the_rules_of_its_leaves(submission: Submission) -> None:
    whole = {f.rule for f in findings_of(submission) if f.subject.endswith("20260801_120000")}
    leaf = read_tree(submission.kv_leaf)
    assert {f.rule for f in validate(leaf) if f.subject.endswith("20260801_120000")} == whole
    assert [one.organization for one in leaf.leaves] == [ORGANIZATION]


@pytest.mark.slow
def test_complete_sequence_of_our_own_metadata_is_met(submission: Submission) -> None:
    record_sequence(submission)
    verdicts = {f.verdict for f in findings_of(submission) if f.rule == "6.3.2.1"}
    assert verdicts == {Verdict.OK}


@pytest.mark.slow
def test_command_with_an_open_quote_is_still_read(submission: Submission) -> None:
    broken = kv_command(1, 0, "--note 'unfinished")
    set_keys(kv_metadata(submission), [{"command": broken}], "command_output_files")
    found = next(f for f in findings_of(submission) if f.rule == "6.6.1")
    assert "--note in option 1, trial 0" in found.reasons
