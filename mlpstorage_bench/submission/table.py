"""The published table of a results tree: a row for each workload of each system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.submission.choice import SUBMISSION_OPTION
from mlpstorage_bench.submission.columns import (
    CODE,
    COLUMNS,
    LOGS,
    MODEL_NAMES,
    Cell,
    Link,
    in_order,
)
from mlpstorage_bench.submission.csv_text import csv_text
from mlpstorage_bench.submission.system_cells import system_cells
from mlpstorage_bench.submission.workload_cells import (
    Figures,
    accelerator_of,
    checkpointing_figures,
    kv_cache_figures,
    training_figures,
    vector_figures,
)
from mlpstorage_bench.validation.code_images import image_of
from mlpstorage_bench.validation.tree import System, Tree, Workload

_RUN = "run"


@dataclass(frozen=True)
class Row:
    """A row of the table, and the runs that it is of."""

    system: System
    workload: Workload
    leaves: tuple[Leaf, ...]
    cells: Mapping[str, Cell]
    """All columns in order; '' for a blank cell."""


@dataclass(frozen=True)
class ResultsTable:
    """Rows, and remarks on runs that no row has."""

    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


def table_of(tree: Tree) -> ResultsTable:
    """Return the table of a tree; a workload without any measurement has no row."""
    rows: list[Row] = []
    remarks: list[str] = []
    for system in sorted(tree.systems, key=str):
        for workload in sorted(system.workloads, key=str):
            for figures in _figures(workload):
                remarks += figures.remarks
                if any(cell is not None for cell in figures.cells.values()):
                    rows.append(_row(tree, system, workload, figures))
                else:
                    remarks.append(f"{workload}: no row, as no run has a measurement")
    return ResultsTable(tuple(rows), tuple(remarks))


def _figures(workload: Workload) -> Iterator[Figures]:
    """Yield the figures of each row of a workload, by the key of its benchmark type."""
    figures_of, key_of = _TYPES.get(workload.benchmark_type, (None, None))
    if figures_of is None or key_of is None:
        return
    groups: dict[str, list[Leaf]] = {}
    for leaf in workload.of_command(_RUN):
        groups.setdefault(key_of(leaf), []).append(leaf)
    for _, leaves in sorted(groups.items()):
        yield figures_of(leaves)


def _performance_profile(leaf: Leaf) -> str:
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return ""
    return (
        metadata.text("performance_profile")
        or metadata.text("parameters", "performance_profile")
        or ""
    )


_TYPES: Mapping[str, tuple[Callable[[Sequence[Leaf]], Figures], Callable[[Leaf], str]]] = {
    "kv_cache": (kv_cache_figures, _performance_profile),
    "training": (training_figures, lambda leaf: accelerator_of(leaf) or ""),
    "checkpointing": (checkpointing_figures, lambda _: ""),
    "vector_database": (vector_figures, lambda _: ""),
}
_BLOCKS = {
    "kv_cache": "KVCache",
    "training": "Training",
    "checkpointing": "Checkpointing",
    "vector_database": "VDB",
}


def _row(tree: Tree, system: System, workload: Workload, figures: Figures) -> Row:
    block = _BLOCKS[workload.benchmark_type]
    image = image_of(figures.leaves[0], tree)
    logs = figures.leaves[-1].path.relative_to(tree.top).as_posix()
    links: dict[str, Cell | None] = {LOGS: Link("logs", f"{logs}/")}
    if image is not None:
        links[CODE] = Link("code", f"{image.path.relative_to(tree.top).as_posix()}/")
    cells: dict[str, Cell | None] = {
        **system_cells(system),
        "Benchmark Type": workload.benchmark_type,
        "Model": MODEL_NAMES.get(workload.model),
        **{_column(block, name): cell for name, cell in {**links, **figures.cells}.items()},
    }
    return Row(system, workload, figures.leaves, in_order(cells))


def _column(block: str, name: str) -> str:
    """Return the whole name of a column: one of an option has the option's name already."""
    return f"{block} {name}" if " - " in name else f"{block} - {name}"


def write_tables(table: ResultsTable, tree: Tree) -> None:
    """Write results.csv and results.json of each organization and of each workload.

    Those of an organization are in `results/`, those of a workload in its directory, or in `run/`
    of training. The top of the tree may hold no files.
    """
    for organization in tree.organizations:
        rows = [row for row in table.rows if row.system in organization.systems]
        _write(organization.path / "results", rows)
        for system in organization.systems:
            for workload in system.workloads:
                own = [row for row in rows if row.workload is workload]
                is_training = workload.benchmark_type == "training"
                if own:
                    _write(workload.path / _RUN if is_training else workload.path, own)


def _write(directory: Path, rows: Sequence[Row]) -> None:
    as_json = [
        {
            column: {"text": cell.text, "href": cell.href} if isinstance(cell, Link) else cell
            for column, cell in row.cells.items()
        }
        for row in rows
    ]
    as_csv = csv_text(COLUMNS, (row.cells.values() for row in rows))
    write_named(SUBMISSION_OPTION, directory / "results.csv", as_csv)
    write_named(SUBMISSION_OPTION, directory / "results.json", json_text(as_json))
