"""What a gate asks of KV-cache results, unless the user says otherwise."""

from __future__ import annotations

from dataclasses import fields

from mlpstorage_bench.kvcache.results.trial_result import Latencies, TrialResult

GATED = {
    "read_gib_s": "-10%",
    "write_gib_s": "-10%",
    "requests_per_s": "-10%",
    "read_p95_ms": "+20%",
    "write_p95_ms": "+20%",
}
"""Metric → the smallest change for the worse that matters."""

METRIC_SYNONYMS = {
    "read_bandwidth": "read_gib_s",
    "write_bandwidth": "write_gib_s",
    "requests": "requests_per_s",
    "read_p95": "read_p95_ms",
    "write_p95": "write_p95_ms",
    "read_p99": "read_p99_ms",
    "write_p99": "write_p99_ms",
}
"""What people call metrics → their names in the results."""

_NUMBERS = frozenset({"int", "float", "int | None", "float | None"})

TRIAL_METRICS = frozenset(
    field.name
    for kind in (TrialResult, Latencies)
    for field in fields(kind)
    if field.type in _NUMBERS
) - {"trial", "ranks"}
"""Every metric of a trial that is a number."""
