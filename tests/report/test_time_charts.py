from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mlpstorage_bench.measure.time_series import PhaseSeries, TimeSeries
from mlpstorage_bench.report.charts.marks import Figure
from mlpstorage_bench.report.time_charts import MOST_POINTS, time_charts
from mlpstorage_bench.results.metadata_parts import TrialFacts
from mlpstorage_bench.units import GIB


def phase(name: str, begins_s: float, ends_s: float, gib_s: float = 1.0) -> PhaseSeries:
    count = math.ceil(ends_s - begins_s)
    counts, moved = (2,) * count, (int(gib_s * GIB),) * count
    p95: tuple[float | None, ...] = (5.0,) * count
    return PhaseSeries(name, begins_s, ends_s, 1.0, moved, moved, *[counts] * 4, *[p95] * 4)


WINDOW = phase("window", 0.0, 2.0)


def charts(*phases: PhaseSeries, trials: int = 1) -> list[Figure]:
    series = TimeSeries(0.0, phases)
    return list(
        time_charts(
            [TrialFacts(trial=n + 1, metrics={}, time_series=series) for n in range(trials)]
        )
    )


def test_each_second_is_a_row_with_its_phase_and_samples() -> None:
    bandwidth, p95 = charts(phase("warm-up", -1.0, 0.0), phase("window", 0.0, 2.0))
    assert bandwidth.table.rows == (
        ("1", "warm-up", "-1", "1", "1"),
        ("1", "window", "0", "1", "1"),
        ("1", "window", "1", "1", "1"),
    )
    assert p95.table.rows[0] == ("1", "warm-up", "-1", "5 (2)", "5 (2)")
    assert [box.style for box in bandwidth.boxes].count("band") == 1


def test_preconditioning_of_hours_does_not_squeeze_the_window() -> None:
    bandwidth, _ = charts(phase("preconditioning", -100.0, 0.0), phase("window", 0.0, 2.0))
    assert {row[1] for row in bandwidth.table.rows} == {"window"}


def test_short_rest_at_the_end_of_a_window_is_left_out() -> None:
    bandwidth, _ = charts(phase("window", 0.0, 2.01))
    assert len(bandwidth.table.rows) == 2


def test_long_windows_are_drawn_with_a_limited_number_of_points() -> None:
    bandwidth, _ = charts(phase("window", 0.0, 500.0), trials=6)
    (line, *_) = [curve for curve in bandwidth.curves if curve.style == "line c1"]
    assert line.points.count("L") < MOST_POINTS
    assert "slots together" in bandwidth.remarks[0]
    assert len(bandwidth.table.rows) <= 120


@pytest.mark.parametrize(
    "changed",
    [
        replace(WINDOW, ends_s=math.inf),
        replace(WINDOW, ends_s=-1.0),
        replace(WINDOW, slot_s=0.0),
        replace(WINDOW, reads=(1,)),
        replace(WINDOW, begins_s=-math.inf),
        replace(WINDOW, read_bytes=(1 << 5000, 0)),
        replace(WINDOW, write_p95_ms=(math.nan, None)),
    ],
)
def test_unusable_series_are_not_drawn(changed: PhaseSeries) -> None:
    assert charts(WINDOW) != []
    assert charts(changed) == []


def test_chart_has_the_kinds_of_operations_that_moved_data() -> None:
    reads = replace(WINDOW, write_bytes=(0, 0), writes=(0, 0), write_p95_ms=(None, None))
    bandwidth, p95 = charts(reads)
    assert [entry.text for entry in bandwidth.key] == ["read"]
    assert bandwidth.table.header == ("trial", "phase", "from s", "read GiB/s")
    assert p95.table.header[3:] == ("read p95 ms (number)",)
    writes = replace(WINDOW, read_bytes=(0, 0), reads=(0, 0), read_p95_ms=(None, None))
    bandwidth, _ = charts(writes)
    assert [entry.text for entry in bandwidth.key] == ["write"]
    assert any(curve.style == "line c2" for curve in bandwidth.curves)
    assert len(charts(replace(reads, read_bytes=(0, 0)))[0].key) == 2


def test_remark_names_a_warm_up_where_there_was_one() -> None:
    warmed, _ = charts(phase("warm-up", -1.0, 0.0), WINDOW)
    bare, _ = charts(WINDOW)
    assert warmed.remarks == ("The windows have a background; before them is the warm-up.",)
    assert bare.remarks == ("The windows have a background.",)
