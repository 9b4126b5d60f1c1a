"""Made-up result trees that keep every rule that a tree can keep; tests then break one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from mlpstorage_bench.results.code_image import tree_hash
from mlpstorage_bench.validation import edition

ORGANIZATION = "some-vendor"
SYSTEM = "array-1"
KV_TIME = "20260801_120000"
HOSTS = ("node1", "node2")
RANKS = len(HOSTS)


@dataclass
class Submission:
    """A closed or open submission, below `top`; the documents are written by `write`."""

    top: Path
    division: str = "closed"
    description: dict[str, Any] = field(default_factory=dict)
    kv_metadata: dict[str, Any] = field(default_factory=dict)
    kv_summary: dict[str, Any] = field(default_factory=dict)
    kv_ranks: dict[tuple[int, int, int], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = edition.KV_OPTIONS
        self.kv_ranks = {
            (option, trial, rank): _rank(option, trial, rank)
            for option in options
            for trial in range(edition.KV_TRIALS)
            for rank in range(RANKS)
        }
        self.description = _description()
        self.kv_metadata = _kv_metadata(self.division)
        self.kv_summary = _kv_summary(self.kv_ranks)

    @property
    def organization(self) -> Path:
        return self.top / self.division / ORGANIZATION

    @property
    def system(self) -> Path:
        return self.organization / "results" / SYSTEM

    @property
    def kv_leaf(self) -> Path:
        return self.system / "kv_cache" / "llama3.1-8b" / "run" / KV_TIME

    def write(self) -> Path:
        """Write the tree, and return its top."""
        systems = self.organization / "systems"
        systems.mkdir(parents=True)
        (systems / f"{SYSTEM}.yaml").write_text(yaml.safe_dump(self.description))
        (systems / f"{SYSTEM}.pdf").write_bytes(b"%PDF-1.7")
        self.kv_leaf.mkdir(parents=True)
        self.write_kv_metadata()
        write(self.kv_leaf / "summary.json", self.kv_summary)
        for (option, trial, rank), content in self.kv_ranks.items():
            place = self.kv_leaf / f"option_{option}" / f"trial_{trial}" / f"rank_{rank}"
            write(place / f"kvcache_results_{KV_TIME}.json", content)
        for rank, host in enumerate(HOSTS):
            marker = self.kv_leaf / ".fs_probe" / f"0123456789ab__rank{rank}__{host}.ok"
            marker.parent.mkdir(exist_ok=True)
            marker.write_text(host)
        write(self.kv_leaf / "fs_separation.json", {"version": 1, "same_filesystem": False})
        self.add_image()
        self.point(self.kv_leaf)
        return self.top

    def write_kv_metadata(self) -> None:
        write(self.kv_leaf / f"kv_cache_{KV_TIME}_metadata.json", self.kv_metadata)

    def add_image(self) -> None:
        pool = self.top / "code-images"
        source = pool / "building"
        source.mkdir(parents=True)
        (pool / ".mlps-image-pool").write_text("mlpstorage_version=3.0.46\n")
        (source / "main.py").write_text("print('measure')\n")
        name = tree_hash(source)
        record = {"hash": name, "algorithm": "md5-tree-v2", "mlpstorage_version": "3.0.46"}
        write(source / ".code-hash.json", record)
        source.rename(self.image)

    @property
    def image(self) -> Path:
        return self.top / "code-images" / f"code-{self.image_hash[:8]}"

    @property
    def image_hash(self) -> str:
        pool = self.top / "code-images"
        found = [*pool.glob("*/.code-hash.json")]
        digest: str = json.loads(found[0].read_text())["hash"]
        return digest

    def point(self, leaf: Path) -> None:
        (leaf / ".mlps-code-image").write_text(f"md5-tree-v2:{self.image_hash}")

    # training

    @property
    def training(self) -> Path:
        return self.system / "training" / "unet3d"

    def add_training(self) -> Path:
        """Add datasize, datagen and six runs of unet3d."""
        files = _unet3d_files()
        leaves = [("datasize", "20260802_100000"), ("datagen", "20260802_101000")]
        leaves += [("run", f"20260802_11{minute:02d}00") for minute in range(0, 60, 10)]
        for command, time in leaves:
            leaf = self.training / command / time
            write(
                leaf / f"training_{time}_metadata.json",
                {
                    "benchmark_type": "training",
                    "model": "unet3d",
                    "command": command,
                    "num_processes": 4,
                    "runtime": 590.0,
                    "parameters": {
                        "dataset": {"num_files_train": files, "num_subfolders_train": 0}
                    },
                    "override_parameters": {"dataset.num_files_train": files},
                    "system_info": {"num_hosts": 1, "hosts": [_host("node1")]},
                    "args": {
                        "accelerator_type": "b200",
                        "max_accelerators": 4,
                        "num_accelerators": 4,
                        "num_client_hosts": 1,
                        "client_host_memory_in_gb": 64,
                        "hosts": ["node1:4"],
                        "data_dir": "/data",
                        "results_dir": "/results",
                        "params": ["reader.read_threads=8"],
                    },
                    "executed_command": "mpirun -n 4 python dlio",
                },
            )
            write(leaf / "fs_separation.json", {"same_filesystem": False})
            self.point(leaf)
            if command == "datasize":
                continue
            for name in ("stdout", "stderr"):
                (leaf / f"training_{command}.{name}.log").write_text("")
            _dlio(leaf)
            if command == "run":
                write(leaf / "0_output.json", {})
                write(leaf / "0_per_epoch_stats.json", {})
                metric = {
                    "train_au_mean_percentage": 95.0,
                    "train_au_meet_expectation": "success",
                }
                write(leaf / "summary.json", {"num_hosts": 1, "metric": metric})
        write(self.training / "run" / "results.json", [])
        return self.training

    # checkpointing

    @property
    def checkpointing(self) -> Path:
        return self.system / "checkpointing" / "llama3-8b"

    def add_checkpointing(self) -> Path:
        """Add a write phase and a read phase of the 8B model."""
        for time, writes, reads, start, end in (
            ("20260803_100000", 10, 0, "2026-08-03T10:00:05", "2026-08-03T10:10:00"),
            ("20260803_101010", 0, 10, "2026-08-03T10:10:15", "2026-08-03T10:15:00"),
        ):
            leaf = self.checkpointing / time
            model = edition.CHECKPOINT_MODELS["llama3-8b"]
            write(
                leaf / f"checkpointing_{time}_metadata.json",
                {
                    "benchmark_type": "checkpointing",
                    "num_processes": 8,
                    "accelerator": "b200",
                    "runtime": 600.0,
                    "invocation_start_time": "2026-08-03T10:10:10",
                    "parameters": {
                        "checkpoint": {"fsync": True, "mode": "default"},
                        "model": {
                            "num_layers": model.layers,
                            "transformer": {"hidden_size": model.hidden},
                            "parallelism": {"zero_stage": model.zero_stage},
                        },
                    },
                    "override_parameters": {"checkpoint.checkpoint_folder": "/data/llama3-8b"},
                    "system_info": {"num_hosts": 1, "hosts": [_host("node1")]},
                    "args": {
                        "hosts": ["node1:8"],
                        "client_host_memory_in_gb": 64,
                        "num_checkpoints_write": writes,
                        "num_checkpoints_read": reads,
                        "checkpoint_folder": "/data",
                        "results_dir": "/results",
                    },
                    "executed_command": "mpirun -n 8 python dlio",
                },
            )
            write(
                leaf / "summary.json",
                {
                    "start": start,
                    "end": end,
                    "num_hosts": 1,
                    "metric": {"checkpoint_size_GB": 104.7},
                },
            )
            write(leaf / "fs_separation.json", {"same_filesystem": False})
            for name in ("stdout", "stderr"):
                (leaf / f"checkpointing_run.{name}.log").write_text("")
            write(leaf / "0_output.json", {})
            write(leaf / "0_per_epoch_stats.json", {})
            _dlio(leaf)
            self.point(leaf)
        write(self.checkpointing / "results.json", [])
        return self.checkpointing

    # vector database

    @property
    def vectors(self) -> Path:
        return self.system / "vector_database" / "milvus" / "DISKANN"

    def add_vectors(self) -> Path:
        """Add a load and five runs of a DISKANN index."""
        leaves = [("datagen", "20260804_100000")]
        leaves += [("run", f"20260804_1{number}0000") for number in range(1, 6)]
        for command, time in leaves:
            leaf = self.vectors / command / time
            write(
                leaf / f"vector_database_{time}_metadata.json",
                {
                    "benchmark_type": "vector_database",
                    "override_parameters": {"index.metric_type": "COSINE"},
                    "system_info": {"num_hosts": 1, "hosts": [_host("node1")]},
                    "args": {"storage_root": "/data", "results_dir": "/results"},
                    "executed_command": "python vdb",
                },
            )
            write(
                leaf / "summary.json",
                {
                    "num_vectors": 1_000_000,
                    "inserted_vectors": 1_000_000,
                    "dimension": 1536,
                    "index_type": "DISKANN",
                    "database": {"database": "milvus"},
                    "query_count": 10_000,
                    "recall": 0.95,
                    **dict.fromkeys(edition.VECTOR_METRICS, 1.5),
                },
            )
            write(leaf / "vectordb" / "timed" / "result_verdict.json", {"valid": True})
            write(leaf / "fs_separation.json", {"same_filesystem": False})
            self.point(leaf)
        return self.vectors


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def change(path: Path, act: Callable[[Any], object]) -> None:
    """Change the JSON document in a file."""
    content = json.loads(path.read_text())
    act(content)
    path.write_text(json.dumps(content))


def _dlio(leaf: Path) -> None:
    (leaf / "dlio.log").write_text("")
    for name in ("config", "hydra", "overrides"):
        path = leaf / "dlio_config" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("")


def _unet3d_files() -> int:
    by_steps = 500 * 7 * 4
    by_memory = 64 * 5 * 2**30 / 146_600_628
    return int(max(by_steps, by_memory))


def _host(name: str) -> dict[str, Any]:
    return {
        "hostname": name,
        "memory": {"total": 64 * 2**30},
        "cpu": {"num_cores": 32, "model": "A processor"},
        "system": {"kernel_version": "6.12.0"},
    }


def _power() -> dict[str, Any]:
    supply = {"unit_count": 2, "inlet_voltage": 230, "nameplate_power_watts": 1600}
    return {"min_psus_active": 1, "psus_configured": [{**supply, "efficiency": "Platinum"}]}


def _node(name: str, quantity: int) -> dict[str, Any]:
    return {
        "friendly_description": name,
        "quantity": quantity,
        "chassis": {
            "model_name": "A server",
            "rack_units": 2,
            "cpu_model": "A processor",
            "cpu_qty": 2,
            "cpu_cores": 32,
            "memory_capacity": 64,
            "power": _power(),
        },
        "networking": [
            {
                "unit_count": 2,
                "type": "ethernet",
                "state": "up",
                "speed": 100,
                "traffic": ["data"],
            }
        ],
    }


def _description() -> dict[str, Any]:
    return {
        "system_under_test": {
            "solution": {
                "submission_name": SYSTEM,
                "friendly_description": "An array",
                "architecture": {
                    "storage_location": "remote",
                    "benchmark_API": "file",
                    "product_API": "file",
                    "client_footprint": "open_source",
                    "client_installation": "in_box",
                },
                "capabilities": {
                    "multi_host": True,
                    "simultaneous_write": True,
                    "simultaneous_read": True,
                    "remap_time_in_seconds": 0,
                },
                "usable_capacity_tib": 100,
                "availability": "available",
            },
            "deployment": "onprem",
            "product_nodes": [_node("storage node", 3)],
            "total_rack_units": 6,
            "clients": [_node("client", RANKS)],
        }
    }


def _rank(option: int, trial: int, rank: int) -> dict[str, Any]:
    elapsed = 300.0 + trial / 100 + rank / 1000
    read, written = 3000.0 + option + trial, 600.0 + rank
    return {
        "requests_completed": 1500,
        "end_to_end_latencies": [1.5, 12.0],
        "seed": 42 + rank,
        "summary": {
            "elapsed_time": elapsed,
            "avg_throughput_tokens_per_sec": 800.0 + trial,
            "storage_throughput_tokens_per_sec": 4.5 + rank,
            "total_storage_io_time": 50_000.0 + 7 * trial + rank,
            "storage_io_latency_ms": {"mean": 100.0 + trial, "p95": 900.0 + trial + rank},
            "end_to_end_latency_ms": {"p9999": 20_000.0},
            "cache_stats": {
                "storage_entries": 1000,
                "offloads_storage": 1000,
                "tier_storage_kv_bytes_read_gb": read,
                "tier_storage_kv_bytes_written_gb": written,
                "tier_storage_read_bandwidth_gbps": read / elapsed,
                "tier_storage_write_bandwidth_gbps": written / elapsed,
                "storage_read_p95_ms": 500.0 + trial,
                "storage_write_device_p50_ms": 30.0,
            },
        },
    }


def _kv_summary(ranks: dict[tuple[int, int, int], dict[str, Any]]) -> dict[str, Any]:
    def together(option: int, *keys: str) -> list[list[float]]:
        trials: dict[int, list[float]] = {}
        for (of_option, trial, _), content in ranks.items():
            value = content
            for key in ("summary", *keys):
                value = value[key]
            if of_option == option:
                trials.setdefault(trial, []).append(value)  # type: ignore[arg-type]  # a number
        return list(trials.values())

    def mean(option: int, *keys: str) -> float:
        return fmean(sum(values) for values in together(option, *keys))

    return {
        "schema_version": "1.0",
        "run_datetime": KV_TIME,
        "npernode": 1,
        "host_count": len(HOSTS),
        "total_ranks": RANKS,
        "trials_per_option": edition.KV_TRIALS,
        "options": {
            str(option): {
                "option": option,
                "aggregated_read_bandwidth_gbps": mean(
                    option, "cache_stats", "tier_storage_read_bandwidth_gbps"
                ),
                "aggregated_write_bandwidth_gbps": mean(
                    option, "cache_stats", "tier_storage_write_bandwidth_gbps"
                ),
                "aggregated_avg_throughput_tokens_per_sec": mean(
                    option, "avg_throughput_tokens_per_sec"
                ),
                "aggregated_storage_throughput_tokens_per_sec": mean(
                    option, "storage_throughput_tokens_per_sec"
                ),
                "aggregated_p95_latency_ms": max(
                    value
                    for values in together(option, "storage_io_latency_ms", "p95")
                    for value in values
                ),
                "rank_count": RANKS,
                "trial_count": edition.KV_TRIALS,
                "partial_failure": False,
                "missing_files": [],
                "cpu_tier_ranks": [],
            }
            for option in edition.KV_OPTIONS
        },
        "partial_failure": False,
        "trial_failures": {},
    }


def kv_command(option: int, trial: int, *more: str) -> str:
    values = edition.KV_OPTIONS[option]
    return " ".join(
        [
            f"mpirun -n {RANKS} -host node1:1,node2:1 --npernode 1 python mlperf_wrapper.py",
            f"--rank-output-base /results/option_{option}/trial_{trial}",
            "--rank-cache-base /data/kv --seed-base 42 --config config.yaml",
            f"--model {values.model} --num-users {values.num_users} --duration {values.duration}",
            f"--gpu-mem-gb {values.gpu_mem_gb} --cpu-mem-gb {values.cpu_mem_gb}",
            f"--max-concurrent-allocs {values.max_concurrent_allocs} --generation-mode none",
            *more,
        ]
    )


def submission_of_every_type(top: Path) -> Submission:
    """Write a submission with runs of every benchmark type."""
    made = Submission(top)
    made.write()
    made.add_training()
    made.add_checkpointing()
    made.add_vectors()
    return made


def _kv_metadata(division: str) -> dict[str, Any]:
    return {
        "benchmark_type": "kv_cache",
        "model": "llama3.1-8b",
        "command": "run",
        "run_datetime": KV_TIME,
        "num_processes": RANKS,
        "parameters": {},
        "override_parameters": {},
        "system_info": {"num_hosts": len(HOSTS), "hosts": [_host(name) for name in HOSTS]},
        "runtime": 4900.0,
        "invocation_start_time": "2026-08-01T12:00:00",
        "invocation_end_time": "2026-08-01T13:22:00",
        "verification": None,
        "command_output_files": [
            {"command": kv_command(option, trial), "stdout": None, "stderr": None}
            for option in edition.KV_OPTIONS
            for trial in range(edition.KV_TRIALS)
        ],
        "args": {
            "mode": division,
            "cache_dir": "/data/kv",
            "results_dir": "/results",
            "seed": 42,
            "trials": 3,
            "inter_option_delay": 90,
            "params": "",
            "mpi_params": None,
            "enable_autoscaling": True,
        },
    }
