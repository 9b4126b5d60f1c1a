"""A metric of a case over runs: points, and the runs with which it changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from mlpstorage_bench.gate.change_points import change_points
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.report.trend_chart import Point


@dataclass(frozen=True)
class Change:
    """A run with which a metric changed."""

    point: Point
    """The first run after the change."""
    number: int
    """Its position among the points."""
    before: float
    """Median of the runs since the change before it."""
    after: float
    """Median of the runs until the next change."""

    @property
    def share(self) -> float:
        """Relative change."""
        return self.after / self.before - 1 if self.before else 0.0


@dataclass(frozen=True)
class Trend:
    """A metric of one case over runs."""

    case: str
    metric: Description
    points: Sequence[Point]

    @property
    def is_one_series(self) -> bool:
        """Whether all runs are comparable."""
        return len({point.series for point in self.points}) == 1

    @property
    def changes(self) -> list[Change]:
        """The changes within each series of comparable runs, in order of time."""
        changes = []
        start = 0
        for _, group in itertools.groupby(self.points, key=lambda point: point.series):
            values = [point.value for point in group]
            starts = [0, *change_points(values), len(values)]
            for before, at, after in zip(starts, starts[1:], starts[2:], strict=False):
                changes.append(
                    Change(
                        self.points[start + at],
                        start + at,
                        median(values[before:at]),
                        median(values[at:after]),
                    )
                )
            start += len(values)
        return changes

    def is_worse(self, change: Change) -> bool:
        """Return whether a change is for the worse."""
        sign = {"higher": -1, "lower": 1}.get(self.metric.better or "", 0)
        return sign * change.share > 0


def points_of(history: History, runs: Sequence[PastRun], case: str, metric: str) -> list[Point]:
    """Return a point for each run that has a metric of a case, in order of time."""
    ids = [run.run_id for run in runs]
    values, trials = history.pooled(ids, case, metric), history.values(ids, case, metric)
    shown = [run for run in runs if run.run_id in values]
    return [
        Point(
            run.started,
            run.run_id,
            value := values[run.run_id],
            min([value, *trials.get(run.run_id, {}).values()]),
            max([value, *trials.get(run.run_id, {}).values()]),
            series,
        )
        for run, series in zip(shown, _series(shown, case), strict=True)
    ]


def most_comparable(trends: Sequence[Trend]) -> int:
    """Return the number of comparable runs up to the last one, in the case with most of them."""
    return max(
        (sum(one.series == trend.points[-1].series for one in trend.points) for trend in trends),
        default=0,
    )


def _series(runs: Sequence[PastRun], case: str) -> Iterator[int]:
    """Yield a number for each run, which grows where a run is not comparable with the last one."""
    number = 1
    for before, run in itertools.pairwise([*runs[:1], *runs]):
        number += not run.is_comparable(before, case)
        yield number
