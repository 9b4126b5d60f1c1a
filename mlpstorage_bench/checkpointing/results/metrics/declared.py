"""All metrics of checkpointing, in the order in which tables show them."""

from __future__ import annotations

from mlpstorage_bench.checkpointing.results.metrics.checkpoints import Checkpoints
from mlpstorage_bench.checkpointing.results.metrics.latencies import Latencies
from mlpstorage_bench.checkpointing.results.metrics.ranks import Ranks
from mlpstorage_bench.metric.table import MetricTable
from mlpstorage_bench.trial.base_trial import WINDOW_GROUPS

TABLE = MetricTable(Checkpoints, Latencies, Ranks, *WINDOW_GROUPS)
metrics = TABLE.metrics
