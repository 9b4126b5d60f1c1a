"""Columns of the studies' tables."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """A column: heading, name of the value, and format."""

    heading: str
    name: str
    form: str = "{}"


def _ratio(
    heading: str, name: str, form: str = "{:.2f}", *, run: str = ""
) -> tuple[Column, Column]:
    """Return a column beside fio's default memory, and one beside fio in huge pages."""
    return (
        Column(heading, f"{run}{name}", form),
        Column("huge pages", f"{run}huge_{name}", form),
    )


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

_CASE = (
    Column("", "pattern"),
    Column("block", "block"),
    Column("lanes x chunks", "shape"),
    Column("IoThreads", "io_threads"),
)
_FIO = (
    Column("fio GiB/s", "fio_gib_s", "{:.2f}"),
    Column("huge pages", "huge_fio_gib_s", "{:.2f}"),
)
_FIO_CPU = (
    Column("fio CPU s/GiB", "fio_cpu_s_per_gib", "{:.3f}"),
    Column("huge pages", "huge_fio_cpu_s_per_gib", "{:.3f}"),
)
_BANDWIDTH = (
    *_ratio("bandwidth", "bandwidth_ratio"),
    *_ratio("p95", "p95_ratio"),
)
_CPU = _ratio("CPU/GiB", "cpu_ratio", "{:.1f}")

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
    "test_planning": (
        Column("users", "users"),
        Column("window s", "duration_s", "{:.0f}"),
        Column("plan s", "plan_s", "{:.2f}"),
        Column("CPU s", "plan_cpu_s", "{:.2f}"),
        Column("hash s", "hash_s", "{:.2f}"),
        Column("fit s", "fit_s", "{:.2f}"),
        Column("streams s", "streams_s", "{:.2f}"),
        Column("all requests s", "datasize_s", "{:.2f}"),
        Column("CPU s", "cpu_of_datasize_s", "{:.2f}"),
    ),
    "test_start": (
        Column("users of each", "users"),
        Column("ranks", "ranks"),
        Column("calibration s", "calibration_s"),
        Column("case open s", "opened_s", "{:.2f}"),
        Column("calibrated s", "calibrated_s", "{:.2f}"),
        Column("first byte s", "first_byte_s", "{:.2f}"),
        Column("slowest s", "slowest_s", "{:.2f}"),
        Column("session before s", "session_s", "{:.1f}"),
    ),
    "test_resident_memory": (*_WORKLOAD, Column("window s", "duration_s", "{:.0f}"), *_RESIDENT),
    "test_resident_memory_of_large_entries": (*_WORKLOAD, *_RESIDENT),
    "test_scaling": (
        Column("over", "store"),
        Column("chunk KiB", "chunk_kib"),
        Column("ranks", "ranks"),
        Column("lanes x chunks of each", "shape"),
        Column("GiB/s", "gib_s", "{:.2f}"),
        Column("CPU s/GiB", "cpu_s_per_gib", "{:.3f}"),
        Column("busy cores", "busy_cores", "{:.2f}"),
        Column("ceiling GiB/s", "ceiling_gib_s", "{:.2f}"),
        Column("ceiling chunks/s", "ceiling_operations_per_s", "{:.0f}"),
    ),
}
"""Columns by test function; other studies show all their figures."""

CALCULATED = (
    Column("costs over", "store"),
    Column("chunk KiB", "chunk_kib"),
    Column("CPU s/GiB", "cpu_s_per_gib", "{:.3f}"),
    Column("ceiling of a rank GiB/s", "ceiling_gib_s", "{:.2f}"),
    Column("network GiB/s", "network", "{:.1f}"),
    Column("all cores GiB/s", "of_cores", "{:.1f}"),
    Column("all ranks GiB/s", "of_ranks", "{:.1f}"),
    Column("reached GiB/s", "gib_s", "{:.1f}"),
    Column("limited by", "limited_by"),
    Column("busy cores", "busy_cores", "{:.1f}"),
    Column("least ranks", "least_ranks"),
)
"""Columns of what a larger machine would reach."""

TABLES_IN_PARTS: dict[str, dict[str, tuple[Column, ...]]] = {
    "test_parity": {
        "bandwidth and latency": (
            *_CASE,
            *_BANDWIDTH,
            *_ratio("bandwidth, hot buffers", "bandwidth_ratio", run="hot_"),
            *_ratio("bandwidth, all checked", "bandwidth_ratio", run="verified_"),
            Column("late", "own_late_share", "{:.1%}"),
            Column("late, all checked", "verified_own_late_share", "{:.1%}"),
            *_FIO,
        ),
        "CPU time": (
            *_CASE,
            *_CPU,
            *_ratio("without content", "cpu_ratio", "{:.1f}", run="bare_"),
            *_ratio("hot buffers", "cpu_ratio", "{:.1f}", run="hot_"),
            *_ratio("all checked", "cpu_ratio", "{:.1f}", run="verified_"),
            Column("CPU s/GiB", "own_cpu_s_per_gib", "{:.3f}"),
            Column("without content", "bare_own_cpu_s_per_gib", "{:.3f}"),
            *_FIO_CPU,
        ),
    },
    "test_checked_parity": {
        "fio checks, too": (
            *_CASE,
            *_BANDWIDTH,
            *_ratio("CPU/GiB", "cpu_ratio"),
            Column("CPU s/GiB", "own_cpu_s_per_gib", "{:.3f}"),
            *_FIO,
            *_FIO_CPU,
        )
    },
    "test_tmpfs_parity": {
        "unchecked": (
            *_CASE,
            *_BANDWIDTH,
            *_ratio("bandwidth / bound of content", "bound_ratio"),
            *_CPU,
            *_ratio("without content", "cpu_ratio", "{:.1f}", run="bare_"),
            Column("content s/GiB", "content_s_per_gib", "{:.3f}"),
            *_FIO,
            *_FIO_CPU,
        )
    },
    "test_option_1": {
        "the complete harness": (
            Column("", "workload"),
            Column("in flight", "in_flight"),
            *_BANDWIDTH,
            *_CPU,
            Column("late", "own_late_share", "{:.1%}"),
            Column("GiB/s", "own_gib_s", "{:.2f}"),
            *_FIO,
            Column("CPU s/GiB", "own_cpu_s_per_gib", "{:.3f}"),
            *_FIO_CPU,
            Column("reads", "own_read_share", "{:.0%}"),
            Column("fio", "fio_read_share", "{:.0%}"),
            Column("sizes of reads", "read_calls"),
            Column("of writes", "write_calls"),
            Column("calls per entry", "calls_per_entry"),
        )
    },
}
"""Studies with more columns than fit into one table: title of a part → its columns."""
