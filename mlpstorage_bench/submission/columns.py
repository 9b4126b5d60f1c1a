"""Columns of the published table of results: their names and order, and the cells of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlpstorage_bench.escaping import for_html


@dataclass(frozen=True)
class Link:
    """A cell that leads to a file or directory of the tree."""

    text: str
    href: str
    """Path below the directory of the divisions."""

    def __str__(self) -> str:
        """Return the cell as CSV has it."""
        return f'<a href="{for_html(self.href)}">{for_html(self.text)}</a>'


Cell = str | int | float | Link
Cells = Mapping[str, Cell | None]
"""Column → cell; None for a blank one."""

SYSTEM = (
    *("Public ID", "Organization", "Division", "Benchmark Type", "Model", "Name", "Description"),
    *("Type", "Access Protocol", "Availability", "RU's", "Integrated Client Storage (TiB)"),
    *("Usable Capacity (TiB)", "Provisioned Power (W)"),
)
NODES, CODE, LOGS = "# Client Nodes", "Code", "Logs"
READ, WRITE = "Read B/W (GiB/s)", "Write B/W (GiB/s)"
TRAINING = (
    *("Accelerator Type", NODES, CODE, LOGS, "# Simulated Accelerators"),
    READ,
)
CHECKPOINTING = (
    *("Checkpoint Mode", NODES, "DP Instances", CODE, LOGS, WRITE, "Write Duration (secs)"),
    *(READ, "Read Duration (secs)"),
)
VECTORS = (
    *(NODES, CODE, LOGS, "Vector Count", "Vector Dimension", "Index Type", "Queries per Sec"),
    *("Query Latency (ms)", "Recall Percentage", "Storage IOPs", READ),
)
KV_SHARED = (NODES, CODE, LOGS)
KV_OPTIONS = {
    "1": "llama3.1-8b Storage Only",
    "2": "llama3.1-8b Storage + Mem",
    "3": "llama3.1-70b Storage Only",
}
"""Option of kv_cache → name of its columns."""
KV_FIGURES = {
    "Throughput (tok/s)": "aggregated_avg_throughput_tokens_per_sec",
    READ: "aggregated_read_bandwidth_gbps",
    WRITE: "aggregated_write_bandwidth_gbps",
    "P95 Read Latency (ms)": "aggregated_storage_read_p95_ms",
}
"""Column of an option → key of the summary."""
COLUMNS = (
    *SYSTEM,
    *(f"Training - {name}" for name in TRAINING),
    *(f"Checkpointing - {name}" for name in CHECKPOINTING),
    *(f"VDB - {name}" for name in VECTORS),
    *(f"KVCache - {name}" for name in KV_SHARED),
    *(f"KVCache {option} - {name}" for option in KV_OPTIONS.values() for name in KV_FIGURES),
)
MODEL_NAMES = {
    "unet3d": "Unet3D",
    "retinanet": "RetinaNet",
    "llama3-8b": "8B",
    "llama3-70b": "70B",
    "llama3-405b": "405B",
    "llama3-1t": "1250B",
}
"""Model as directories have it → as the table has it; other cells are blank."""


def in_order(cells: Cells) -> dict[str, Cell]:
    """Return all columns of a row in order; '' where there is no cell."""
    row: dict[str, Cell] = {}
    for column in COLUMNS:
        cell = cells.get(column)
        row[column] = "" if cell is None else cell
    return row
