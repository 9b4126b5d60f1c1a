"""Facts of the published rules, edition 3.0, as data: tables, lists and limits.

Source: Rules.md of mlcommons/storage (public), tables of sections 3.6, 4.3, 4.6, 5.6 and 6.3.
"""

from __future__ import annotations

from dataclasses import dataclass

EDITION = "3.0"
LAYOUT_VERSION = 3
"""Version of the tree in which runs have stamps and organizations have manifests."""


@dataclass(frozen=True)
class KvOption:
    """A sanctioned workload of kv_cache (Table KVCache-1)."""

    model: str
    num_users: int
    duration: int
    gpu_mem_gb: int
    cpu_mem_gb: int
    max_concurrent_allocs: int
    generation_mode: str = "none"


KV_OPTIONS = {
    1: KvOption("llama3.1-8b", 200, 300, 0, 0, 16),
    2: KvOption("llama3.1-8b", 100, 300, 0, 4, 16),
    3: KvOption("llama3.1-70b-instruct", 70, 300, 0, 0, 4),
}
KV_SEED = 42
KV_TRIALS = 3
KV_DELAY_S = 90
KV_PAUSES_PER_TRIAL = 2
"""Pauses of the delay's length before and after each trial."""

KV_RANK_FLAGS = frozenset(
    {
        "--rank-output-base",
        "--rank-cache-base",
        "--seed-base",
        "--config",
        "--model",
        "--num-users",
        "--duration",
        "--gpu-mem-gb",
        "--cpu-mem-gb",
        "--max-concurrent-allocs",
        "--generation-mode",
    }
)
"""Options that the sanctioned command of a rank has; closed allows no other (6.6.1)."""

KV_OPEN_FLAGS = KV_RANK_FLAGS | {
    "--enable-rag",
    "--rag-num-docs",
    "--use-burst-trace",
    "--burst-trace-path",
    "--enable-latency-tracing",
    "--performance-profile",
    "--disable-multi-turn",
    "--disable-prefix-caching",
    "--enable-autoscaling",
    "--autoscaler-mode",
    "--start-delay",
    "--end-delay",
    "--seed",
}
"""Options that open may add (6.6.2), and those that the tool forwards with them."""

TRAINING_MODELS = ("unet3d", "retinanet")
TRAINING_RUNS = 6
MINIMUM_AU = {"unet3d": 90.0, "retinanet": 85.0}
TRAINING_BATCH = {
    ("unet3d", "b200"): 7,
    ("retinanet", "b200"): 24,
    ("retinanet", "mi355"): 36,
}
TRAINING_RECORD_BYTES = {"unet3d": 146_600_628, "retinanet": 322_957}
TRAINING_STEPS = 500
HOST_MEMORY_MULTIPLIER = 5
TRAINING_CLOSED_PARAMETERS = frozenset(
    {
        "dataset.num_files_train",
        "dataset.num_subfolders_train",
        "dataset.data_folder",
        "reader.read_threads",
        "reader.computation_threads",
        "reader.transfer_size",
        "reader.prefetch_size",
        "reader.odirect",
        "storage.storage_root",
        "storage.storage_type",
        "storage.storage_options.prefetch_window",
    }
)
TRAINING_OPEN_PARAMETERS = TRAINING_CLOSED_PARAMETERS | {
    "framework",
    "dataset.format",
    "dataset.num_samples_per_file",
    "reader.data_loader",
}


@dataclass(frozen=True)
class CheckpointModel:
    """A model of the checkpointing workload (section 4.3, table 2)."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    tensor_parallel: int
    pipeline_parallel: int
    ranks: int
    zero_stage: int
    size_gib: float
    """The published size, which is binary though labelled GB and TB."""


CHECKPOINT_MODELS = {
    "llama3-8b": CheckpointModel(32, 4096, 14336, 32, 8, 1, 1, 8, 3, 105),
    "llama3-70b": CheckpointModel(80, 8192, 28672, 128, 8, 8, 1, 64, 3, 912),
    "llama3-405b": CheckpointModel(126, 16384, 53248, 128, 8, 8, 32, 512, 1, 5290),
    "llama3-1t": CheckpointModel(128, 25872, 98304, 192, 32, 8, 64, 1024, 1, 18000),
}
CHECKPOINTS = 10
CHECKPOINT_HANDOVER_S = 30
CHECKPOINT_RANKS_PER_HOST = 4
"""Closed demands more than this on each host."""
ACCELERATOR_MEMORY_GB = {"b200": 180, "mi355": 288, "h100": 80, "a100": 80}
WHATIF_ACCELERATORS = ("h100", "a100")
CHECKPOINT_CLOSED_PARAMETERS = frozenset(
    {
        "checkpoint.checkpoint_folder",
        "checkpoint.num_checkpoints_read",
        "checkpoint.num_checkpoints_write",
    }
)

VECTOR_SCALES = {1_000_000: 1536, 10_000_000: 1536}
"""Vectors and their dimension."""
VECTOR_RUNS = 5
VECTOR_CLOSED_INDEXES = ("DISKANN", "HNSW", "AISAQ")
VECTOR_CLOSED_BACKEND = "milvus"
VECTOR_OPEN_BACKENDS = ("milvus", "elasticsearch", "pgvector")
VECTOR_CLOSED_PARAMETERS = frozenset(
    {
        "index.index_type",
        "index.metric_type",
        "index.max_degree",
        "index.search_list_size",
        "index.M",
        "index.ef_construction",
        "index.inline_pq",
        "search.search_ef",
        "run.mode",
        "run.num_query_processes",
        "run.batch_size",
        "run.report_count",
        "dataset.collection_name",
        "dataset.num_shards",
        "dataset.chunk_size",
        "dataset.batch_size",
        "dataset.vector_dtype",
        "storage.storage_root",
        "storage.storage_type",
    }
)
VECTOR_METRICS = (
    "throughput_qps",
    "mean_latency_ms",
    "p95_latency_ms",
    "p99_latency_ms",
    "p999_latency_ms",
)
BENCHMARK_TYPES = ("training", "checkpointing", "vector_database", "kv_cache")
