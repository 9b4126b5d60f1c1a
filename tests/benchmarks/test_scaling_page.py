"""The page of the scaling study: a plot for each axis that has several points."""

from __future__ import annotations

from benchmarks.harness.goals import Case
from benchmarks.harness.scaled_ranks import figures_of
from benchmarks.harness.scaling_page import page_of
from benchmarks.harness.table import study_lines


def case(store: str, ranks: int, lanes: int) -> Case:
    return {
        "store": store,
        "chunk_kib": 1024,
        "ranks": ranks,
        "lanes": lanes,
        "in_flight": lanes,
        "shape": f"{lanes} x 1",
        "gib_s": 2.0 * ranks,
        "cpu_s_per_gib": 0.2,
        "busy_cores": 0.4 * ranks,
        "ceiling_gib_s": 4.0 * ranks,
        "ceiling_operations_per_s": 8192.0 * ranks,
    }


CASES = [case(store, *shape) for store in ("null", "disk") for shape in ((1, 1), (1, 16), (2, 16))]


def test_page_has_a_plot_of_each_value_over_lanes_and_over_ranks() -> None:
    plots, measured, larger = page_of(CASES).blocks
    titles = [figure.title for figure in plots.figures]
    assert len(titles) == 6, "no plot has one point"
    assert titles[0].startswith("GiB/s by lanes of one rank")
    assert titles[-1].startswith("ceiling GiB/s by ranks")
    assert plots.figures[3].table.rows == (("1", "2", "2"), ("2", "4", "4"))
    assert len(measured.sections[0].rows) == len(CASES)
    assert larger.title.endswith("calculated, not measured")
    [row] = larger.sections[0].rows
    assert row[:2] == ("disk", "1024")


def test_table_states_what_is_calculated() -> None:
    lines = study_lines("test_scaling", CASES)
    at = lines.index("64 cores, 400 Gbit/s, 64 ranks: calculated, not measured")
    assert lines[-1].startswith("| disk | 1024 | 0.200 | 4.00 | 46.6 |")
    assert at == len(lines) - 5


def test_figures_are_medians_of_reads_and_writes_together() -> None:
    def trial(read: float, cpu: float) -> dict[str, object]:
        return {
            "read_gib_s": read,
            "write_gib_s": 1.0,
            "cpu_s_per_gib": cpu,
            "ceiling_gib_s": 8.0,
            "ceiling_operations_per_s": 100.0,
        }

    found = figures_of([trial(1.0, 0.3), trial(5.0, 0.1), trial(2.0, 0.2)])
    assert (found["gib_s"], found["cpu_s_per_gib"]) == (3.0, 0.2)
