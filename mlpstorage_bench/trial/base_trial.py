"""The result of one trial over all ranks, as far as it is the same for every benchmark type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.stragglers import Straggler
from mlpstorage_bench.metric.declaration import Measured
from mlpstorage_bench.metric.values import as_json
from mlpstorage_bench.trial.metrics.audits import Audits
from mlpstorage_bench.trial.metrics.limits import Harness, Limits
from mlpstorage_bench.trial.metrics.windows import Windows
from mlpstorage_bench.trial.rank_window import RankWindow

WINDOW_GROUPS: tuple[type[Measured], ...] = (Audits, Limits, Harness, Windows)
"""Metrics of every trial, beside the type's own."""


@dataclass(frozen=True, kw_only=True)
class BaseTrial(Audits, Limits, Harness, Windows):
    """One trial over all ranks: every metric of its windows is an attribute."""

    trial: int
    """Number of the trial, from 1."""
    corruption: str
    """The first corrupt read of any rank, with file and offset; '' without any."""
    failure: MlpsError | None = None
    """Failure that ended the trial early, on the first of the ranks where something failed: metrics
    are of what was measured until then."""

    def conditions_at(
        self,
        moved_gib_s: float,
        stragglers: Sequence[Straggler] = (),
        missing_share: float = 0.0,
    ) -> TrialConditions:
        """Return conditions that may have changed the metrics of a trial with this bandwidth.

        `missing_share` is the share of the bandwidth that is missing because of the stragglers.
        """
        return TrialConditions(
            moved_gib_s=moved_gib_s,
            limit=self.limited_by,
            others_gib_s=self.foreign_gib_s,
            others_on=self.foreign_traffic_on,
            stragglers=tuple(map(str, stragglers)),
            missing_share=missing_share,
            denied_share=self.throttled_share,
        )

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, for JSON."""
        return as_json(self.values)


def first_failure(ranks: Sequence[RankWindow]) -> MlpsError | None:
    """Return the failure of the first of the ranks where something failed."""
    return next((rank.failure for rank in ranks if rank.failure is not None), None)


def first_corruption(ranks: Sequence[RankWindow]) -> str:
    """Return the first corrupt read of any rank, with its place; '' without any."""
    found = (one for one in ranks if one.corruption)
    return next((f"rank {one.rank} on {one.host}: {one.corruption}" for one in found), "")
