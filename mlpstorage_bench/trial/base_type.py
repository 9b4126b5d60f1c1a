"""Base of benchmark types: what most of them answer alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.benchmark_type.interface import TypeFields
from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.metric.table import MetricTable
from mlpstorage_bench.storage.directory import check_cache_dir
from mlpstorage_bench.trial.figures import io_modes_of, levels


class BaseType:
    """A type with a table of metrics, and files in the cache directory of each host.

    A type sets `table`, adds what `TestedType` has beside this, and overrides what differs.
    """

    table: MetricTable
    """Its metrics, and those that plugins of the session add."""
    exports: Mapping[str, Callable[[Path], str]] = MappingProxyType({})
    has_command_level = True
    has_ordered_cases = False
    has_objectives = False

    @property
    def metrics(self) -> Sequence[AnyMetric]:
        """Declarations of all metrics."""
        return self.table.metrics()

    def use_added_metrics(self, added: Sequence[AnyMetric]) -> None:
        """Use metrics beside its own, in place of those that were added before."""
        self.table.use_added(added)

    def check_site(self, cache_dir: Path) -> None:
        """Raise InvalidInputError if this host cannot have files in the directory."""
        check_cache_dir(cache_dir)

    def warm_up_trials(self, plan: Plan) -> int:
        """Return the number of trials that a test runs before those that count: none."""
        del plan
        return 0

    def further_files(
        self, cases: Sequence[CaseRecord], total_ranks: int, filesystems: Json | None
    ) -> Iterable[tuple[str, Json]]:
        """Return files that are of no single trial: there are none."""
        del cases, total_ranks, filesystems
        return ()

    def conclusions(self, cases: Sequence[CaseRecord]) -> Sequence[str]:
        """Return no sentence."""
        del cases
        return ()

    def figures(self, case: CaseRecord) -> CaseFigures:
        """Return what reports show of a case beside its metrics: parameters, modes, and ratios."""
        return CaseFigures(
            case.case,
            parameters=case.parameters,
            io_modes=io_modes_of(case),
            levels=tuple(levels(case)),
        )

    def metadata_fields(self, parameters: Json, cases: Sequence[CaseRecord]) -> TypeFields:
        """Return this type's parts of the metadata; `parameters` are the plan's."""
        return TypeFields(parameters, {}, self.conclusions(cases))
