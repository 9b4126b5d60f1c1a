"""Benchmarks of the storage under LLM key/value caches, as pytest test cases under MPI.

The names below are the public API; they are imported at their first use. Modules are private, but
for `own_types`, which has the names for packages that add a benchmark type.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlpstorage_bench import units
    from mlpstorage_bench.checkpointing.fixture import Checkpointing
    from mlpstorage_bench.checkpointing.results.trial_result import CheckpointingResult
    from mlpstorage_bench.cluster.information import ClusterInformation
    from mlpstorage_bench.history.archive import History
    from mlpstorage_bench.history.filters import RunFilter
    from mlpstorage_bench.kvcache.fixture import KVCache
    from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
    from mlpstorage_bench.kvcache.results.trial_ranks import RANKS
    from mlpstorage_bench.metric import rules as metric_rules
    from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
    from mlpstorage_bench.mpi.comm import Comm
    from mlpstorage_bench.progress.state import Progress
    from mlpstorage_bench.registry import TypeEntry
    from mlpstorage_bench.session.fixtures import fixture_of
    from mlpstorage_bench.session.run import Run
    from mlpstorage_bench.training.fixture import Training
    from mlpstorage_bench.training.results.trial_result import TrainingResult

    __version__: str

__all__ = [
    "RANKS",
    "Checkpointing",
    "CheckpointingResult",
    "ClusterInformation",
    "Comm",
    "History",
    "KVCache",
    "KVCacheResult",
    "Measured",
    "Metric",
    "Progress",
    "Run",
    "RunFilter",
    "Shown",
    "Training",
    "TrainingResult",
    "TypeEntry",
    "__version__",
    "fixture_of",
    "metric_rules",
    "units",
]

_MODULES = {
    "RANKS": "mlpstorage_bench.kvcache.results.trial_ranks",
    "Checkpointing": "mlpstorage_bench.checkpointing.fixture",
    "CheckpointingResult": "mlpstorage_bench.checkpointing.results.trial_result",
    "ClusterInformation": "mlpstorage_bench.cluster.information",
    "Comm": "mlpstorage_bench.mpi.comm",
    "History": "mlpstorage_bench.history.archive",
    "KVCache": "mlpstorage_bench.kvcache.fixture",
    "KVCacheResult": "mlpstorage_bench.kvcache.results.case_result",
    "Measured": "mlpstorage_bench.metric.declaration",
    "Metric": "mlpstorage_bench.metric.declaration",
    "Progress": "mlpstorage_bench.progress.state",
    "Run": "mlpstorage_bench.session.run",
    "RunFilter": "mlpstorage_bench.history.filters",
    "Shown": "mlpstorage_bench.metric.declaration",
    "Training": "mlpstorage_bench.training.fixture",
    "TrainingResult": "mlpstorage_bench.training.results.trial_result",
    "TypeEntry": "mlpstorage_bench.registry",
    "fixture_of": "mlpstorage_bench.session.fixtures",
}
_WHOLE_MODULES = {
    "metric_rules": "mlpstorage_bench.metric.rules",
    "units": "mlpstorage_bench.units",
}
"""Modules all of whose names are public."""

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            value = version("mlpstorage-bench")
        elif name in _MODULES:
            value = getattr(importlib.import_module(_MODULES[name]), name)
        elif name in _WHOLE_MODULES:
            value = importlib.import_module(_WHOLE_MODULES[name])
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
