"""All metrics of the KV-cache benchmark, in the order in which tables show them."""

from __future__ import annotations

from typing import Any

from mlpstorage_bench.kvcache.results.metrics.audits import Audits
from mlpstorage_bench.kvcache.results.metrics.latencies import Latencies, LatenciesBySize
from mlpstorage_bench.kvcache.results.metrics.limits import Harness, Limits
from mlpstorage_bench.kvcache.results.metrics.requests import Requests
from mlpstorage_bench.kvcache.results.metrics.traffic import Lookups, Traffic
from mlpstorage_bench.kvcache.results.metrics.window import Window
from mlpstorage_bench.metric.declaration import Measured, Metric, declared_in

GROUPS: tuple[type[Measured], ...] = (
    *(Requests, Traffic, Latencies, LatenciesBySize, Lookups, Audits, Limits, Harness, Window),
)
"""Subjects, in the order of docs/metrics.md."""


def metrics() -> tuple[Metric[Any], ...]:
    """Return the declarations of all subjects."""
    return declared_in(*GROUPS)
