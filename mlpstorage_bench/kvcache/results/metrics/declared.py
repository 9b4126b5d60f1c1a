"""All metrics of the KV-cache benchmark, in the order in which tables show them."""

from __future__ import annotations

from mlpstorage_bench.kvcache.results.metrics.latencies import Latencies, LatenciesBySize
from mlpstorage_bench.kvcache.results.metrics.requests import Requests
from mlpstorage_bench.kvcache.results.metrics.traffic import Lookups, Traffic
from mlpstorage_bench.kvcache.results.metrics.window import Window
from mlpstorage_bench.metric.table import MetricTable
from mlpstorage_bench.trial.base_trial import WINDOW_GROUPS

TABLE = MetricTable(Requests, Traffic, Latencies, LatenciesBySize, Lookups, *WINDOW_GROUPS, Window)
GROUPS = TABLE.groups
metrics = TABLE.metrics
