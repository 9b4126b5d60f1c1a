"""The comparable runs before a run: how its figures went until then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlpstorage_bench.history.archive import History
from mlpstorage_bench.report.history_report import trends_of
from mlpstorage_bench.report.trend_figures import MOST_RUNS
from mlpstorage_bench.report.trends import Trend
from mlpstorage_bench.results.run_metadata import RunMetadata


def trends_until(history: History, metadata: RunMetadata) -> Sequence[Trend]:
    """Return a run's figures over the comparable runs that ended with it.

    There are none of a run that is not in the history, has no result, or is the first of its kind.
    """
    run_id = metadata.own.run_id
    runs = [run for run in history.runs() if run.started <= metadata.started][-MOST_RUNS:]
    comparable = []
    for trend in trends_of(history, runs):
        last = trend.points[-1]
        points = [point for point in trend.points if point.series == last.series]
        if last.run_id == run_id and len(points) > 1:
            comparable.append(replace(trend, points=points))
    return comparable
