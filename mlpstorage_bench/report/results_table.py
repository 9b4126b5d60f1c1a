"""What a run measured, as a table: means with their spread, pooled percentiles, the audit."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

_METRICS = (
    ("req/s", "requests_per_s", "{:.1f}"),
    ("read GiB/s", "read_gib_s", "{:.2f}"),
    ("write GiB/s", "write_gib_s", "{:.2f}"),
)
"""Title, metric and format of those that are shown with their spread."""


def results_table(cases: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of cases: means ± half the range over trials, pooled percentiles."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("case", no_wrap=True)
    table.add_column("trials", justify="right")
    for title, _, _ in _METRICS:
        table.add_column(title, justify="right")
    for title in ("read\np95 ms", "write\np95 ms", "hits", "audit", "bound"):
        table.add_column(title, justify="right")
    for case in cases:
        metrics = case.get("metrics")
        if metrics is None:
            done, planned = len(case["trials"]), case["planned_trials"]
            table.add_row(_wrapped(case["case"]), f"{done}/{planned}", "failed")
            continue
        table.add_row(
            _wrapped(case["case"]),
            str(metrics["trials"]),
            *(_with_spread(metrics, name, form) for _, name, form in _METRICS),
            _figure(metrics["read_p95_ms"], "{:.1f}"),
            _figure(metrics["write_p95_ms"], "{:.1f}"),
            _figure(metrics["hit_rate"], "{:.0%}"),
            _audit(metrics),
            _bound(metrics),
        )
    return table


def _with_spread(metrics: Mapping[str, Any], name: str, form: str) -> str:
    mean, low, high = metrics[name], metrics[f"{name}_min"], metrics[f"{name}_max"]
    if metrics["trials"] == 1 or not mean:
        return form.format(mean)
    spread = (high - low) / 2 / mean
    return f"{form.format(mean)} ±{spread:.0%}"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _audit(metrics: Mapping[str, Any]) -> str:
    ratio = metrics["audit_ratio"]
    return metrics["audit_verdict"] if ratio is None else f"{metrics['audit_verdict']} {ratio:.3f}"


def _bound(metrics: Mapping[str, Any]) -> str:
    ratio = metrics["ceiling_ratio"]
    return "-" if ratio is None else f"{metrics['bound'].removesuffix('-bound')} {ratio:.2f}"


def as_lines(renderable: RenderableType, width: int) -> list[str]:
    """Render for a writer that knows no rich: plain text, line by line."""
    text = io.StringIO()
    Console(file=text, width=width, color_system=None, highlight=False, markup=False).print(
        renderable
    )
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def _wrapped(name: str) -> str:
    """Return a case's name in lines that end at its hyphens: a row has two anyway."""
    return name.replace("-", "-\n")
