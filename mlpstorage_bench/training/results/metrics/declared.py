"""All metrics of the training benchmark, in the order in which tables show them."""

from __future__ import annotations

from mlpstorage_bench.metric.table import MetricTable
from mlpstorage_bench.training.results.metrics.accelerators import Accelerators
from mlpstorage_bench.training.results.metrics.reads import Reads
from mlpstorage_bench.trial.base_trial import WINDOW_GROUPS

TABLE = MetricTable(Accelerators, Reads, *WINDOW_GROUPS)
metrics = TABLE.metrics
