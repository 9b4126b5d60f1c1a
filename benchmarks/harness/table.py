"""Tables of the studies, for the docs: python -m benchmarks.harness.table FILE."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Column(NamedTuple):
    """A column: heading, name of the value, and format."""

    heading: str
    name: str
    form: str = "{}"


_WORKLOAD = (
    Column("users", "users"),
    Column("entries", "entries"),
    Column("chunk KiB", "chunk_kib"),
)
_RESIDENT = (
    Column("moved GiB", "moved_gib", "{:.1f}"),
    Column("in flight MiB", "in_flight_mib", "{:.0f}"),
    Column("buffers MiB", "buffers_mib", "{:.0f}"),
    Column("peak MiB", "peak_rss_mib", "{:.0f}"),
    Column("beside buffers MiB", "beside_buffers_mib", "{:.0f}"),
)
_SPREAD = "{0[1]:.1f} ({0[0]:.0f} to {0[2]:.0f})"
"""Format of a list [minimum, median, maximum]."""

_TRIALS = (Column("3 trials", "trials_3"), Column("5", "trials_5"), Column("10", "trials_10"))

TABLES = {
    "test_gate_quality": (
        Column("series", "series"),
        Column("trials", "trials"),
        Column("rule", "rule"),
        Column("false alarms", "false_alarm_rate", "{:.2%}"),
        *(Column(f"{loss} %", f"power_at_{loss}", "{:.1%}") for loss in (5, 15, 30, 50)),
        Column("undecided", "undecided_rate", "{:.1%}"),
        Column("5 % passed", "passed_with_a_loss_of_5", "{:.2%}"),
    ),
    "test_false_alarms": (
        Column("series", "series"),
        *_TRIALS,
        Column("retries", "retries"),
        Column("unspent", "unspent"),
    ),
    "test_white_noise": (
        Column("noise", "sigma"),
        Column("5 % found, 3 trials", "loss_5_trials_3"),
        Column("10 trials", "loss_5_trials_10"),
        Column("10 % found, 3 trials", "loss_10_trials_3"),
        Column("10 trials", "loss_10_trials_10"),
        Column("unchanged passes, 3 trials", "passed_trials_3"),
        Column("10 trials", "passed_trials_10"),
    ),
    "test_runs_at_levels": (
        Column("share", "share"),
        Column("baseline runs of", "baseline"),
        *_TRIALS,
    ),
    "test_smallest_loss": (
        Column("series", "series"),
        Column("baseline runs", "runs"),
        Column("of", "baseline"),
        *_TRIALS,
        Column("20", "trials_20"),
    ),
    "test_parity": (
        Column("", "pattern"),
        Column("block", "block"),
        Column("lanes x chunks", "shape"),
        Column("bandwidth", "bandwidth_ratio", "{:.2f}"),
        Column("p95", "p95_ratio", "{:.2f}"),
        Column("CPU/GiB", "cpu_ratio", "{:.1f}"),
        Column("bandwidth, all checked", "verified_bandwidth_ratio", "{:.2f}"),
        Column("p95", "verified_p95_ratio", "{:.2f}"),
        Column("CPU/GiB", "verified_cpu_ratio", "{:.1f}"),
        Column("late", "late_share", "{:.1%}"),
        Column("fio's memory", "fio_memory"),
        Column("fio GiB/s", "fio_gib_s", "{:.2f}"),
        Column("fio CPU s/GiB", "fio_cpu_s_per_gib", "{:.3f}"),
    ),
    "test_content_cost": (
        Column("", "what"),
        Column("block", "block"),
        Column("lanes x chunks", "shape"),
        Column("bandwidth with / without", "bandwidth_ratio", "{:.2f}"),
        Column("CPU s/GiB with", "cpu_s_per_gib", "{:.3f}"),
        Column("without", "cpu_s_per_gib_without", "{:.3f}"),
    ),
    "test_operation_cost": (
        Column("", "kind"),
        Column("block", "block"),
        Column("1 lane: us", "one_lane_us", _SPREAD),
        Column("CPU us", "one_lane_cpu_us", _SPREAD),
        Column("16 lanes: us", "many_lanes_us", _SPREAD),
        Column("CPU us", "many_lanes_cpu_us", _SPREAD),
        Column("yardstick us", "yardstick_us", _SPREAD),
        Column("CPU us", "yardstick_cpu_us", _SPREAD),
    ),
    "test_resident_memory": (*_WORKLOAD, Column("window s", "duration_s", "{:.0f}"), *_RESIDENT),
    "test_resident_memory_of_large_entries": (*_WORKLOAD, *_RESIDENT),
}
"""Columns by test function; other studies show all their figures."""


def main() -> None:
    """Print a table for each study in a pytest-benchmark JSON file."""
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for case in content["benchmarks"]:
        study = case["name"].partition("[")[0]
        rows.setdefault(study, []).append(case["extra_info"])
    for study, cases in rows.items():
        print(f"\n{study}\n")
        columns = TABLES.get(study) or tuple(Column(name, name) for name in cases[0])
        print("\n".join(table(columns, cases)))


def table(columns: tuple[Column, ...], cases: list[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table, one row per case."""
    cells = [
        [column.heading for column in columns],
        ["---"] * len(columns),
        *([column.form.format(case[column.name]) for column in columns] for case in cases),
    ]
    return [f"| {' | '.join(row)} |" for row in cells]


if __name__ == "__main__":
    main()
