"""Results of schema version 1: read as those of version 2.

Version 1 did not describe its metrics, and some had other names. All readers of results call this
module, so that no other module contains the former names. The tables are frozen, because they
describe existing files.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlpstorage_bench.benchmark_type.records import Json

VERSION = 1
NEXT_VERSION = 2
_KEY = "mlpstorage"

_RENAMED = {
    "carried_in_operations": "in_flight_at_open_operations",
    "carried_in_requests": "in_flight_at_open_requests",
    "cut_off_operations": "in_flight_at_close_operations",
    "cut_off_requests": "in_flight_at_close_requests",
    "chunks_seen_late": "late_completions",
    "seen_late_share": "latency_overestimate_share",
    "one_at_a_time": "queue_unavailable_reason",
    "bound": "limited_by",
    "carried_in": "in_flight_at_open",
    "cut_off": "in_flight_at_close",
    "seen_late_ns": "latency_overestimate_ns",
}
"""Former name → name; the last three belong to operations in the results of a rank."""
_LIMITS = {"storage-bound": "storage", "harness-bound": "harness", "load-bound": "load"}
"""Former value of limited_by → value."""

_UNITS = {
    "1/s": "requests_per_s ceiling_operations_per_s",
    "tokens/s": "generated_tokens_per_s",
    "GiB/s": "read_gib_s write_gib_s ceiling_gib_s",
    "bytes": "read_bytes repeated_read_bytes write_bytes page_cache_bytes peak_rss_bytes",
    "s": "window_s drain_s",
    "s/GiB": "cpu_s_per_gib",
    "ms": "read_p50_ms read_p95_ms read_p99_ms read_p999_ms write_p50_ms write_p95_ms write_p99_ms "
    "write_p999_ms read_chunk_p95_ms write_chunk_p95_ms request_p50_ms request_p95_ms "
    "request_p99_ms queue_wait_p95_ms lateness_p50_ms lateness_p95_ms lateness_p99_ms "
    "lateness_max_ms window_open_spread_ms window_close_spread_ms clock_uncertainty_ms "
    "block_layer_read_ms block_layer_write_ms",
    "share": "hit_rate hit_rate_bytes prefix_hit_rate_bytes busy_share device_share "
    "latency_overestimate_share huge_page_share ceiling_ratio",
    "ratio": "audit_ratio host_audit_ratio",
    "": "ranks requests arrived unserved storage_entries verified_reads corrupt_reads "
    "late_completions in_flight_at_open_operations in_flight_at_close_operations "
    "in_flight_at_open_requests in_flight_at_close_requests",
    "text": "audit_verdict host_audit_verdict limited_by",
}
"""Unit → metrics, by the names of version 2."""
_WITH_SPREAD = ("requests_per_s", "read_gib_s", "write_gib_s", "generated_tokens_per_s")
_SHOWN: dict[str, dict[str, str]] = {
    "requests_per_s": {"title": "req/s", "shown": "headline"},
    "read_gib_s": {"title": "read GiB/s", "shown": "lists"},
    "write_gib_s": {"title": "write GiB/s", "shown": "lists"},
    "read_p95_ms": {"title": "read p95 ms", "shown": "lists"},
    "write_p95_ms": {"title": "write p95 ms", "shown": "headline"},
    "hit_rate": {"title": "hits", "shown": "headline"},
    "audit_verdict": {
        "title": "audit",
        "shown": "headline",
        "beside": "audit_ratio",
        "explained_by": "audit_reason",
    },
    "host_audit_verdict": {
        "title": "host audit",
        "shown": "report",
        "beside": "host_audit_ratio",
        "explained_by": "host_audit_reason",
    },
    "audit_ratio": {"title": "of the kernel's count"},
    "host_audit_ratio": {"title": "of the devices' count"},
    "ceiling_ratio": {"title": "of harness ceiling"},
    "limited_by": {"shown": "headline", "beside": "ceiling_ratio"},
}
_DESCRIPTIONS: Mapping[str, Json] = {
    name: {
        "unit": unit,
        **_SHOWN.get(name, {}),
        **({"has_spread": True} if name in _WITH_SPREAD else {}),
    }
    for unit, names in _UNITS.items()
    for name in names.split()
}
_IN_ORDER = dict.fromkeys([*_SHOWN, *_DESCRIPTIONS])


def upgraded_metadata(content: object) -> object:
    """Return a run's metadata in version 2; any other JSON unchanged."""
    own = _of_version_1(content)
    if own is None or not isinstance(content, dict):
        return content
    metrics = {
        name: renamed(content[name]) for name in ("metrics", "kvcache_metrics") if name in content
    }
    cases = {"cases": renamed(own["cases"])} if "cases" in own else {}
    described = {name: _DESCRIPTIONS[name] for name in _IN_ORDER}
    return {
        **content,
        **metrics,
        _KEY: {**own, **cases, "schema_version": NEXT_VERSION, "metrics": described},
    }


def upgraded_document(document: object) -> object:
    """Return pytest-benchmark's JSON with our record in version 2; any other JSON unchanged."""
    record = _of_version_1(document)
    if record is None or not isinstance(document, dict):
        return document
    benchmarks = document.get("benchmarks")
    if isinstance(benchmarks, list):
        benchmarks = [_upgraded_benchmark(benchmark) for benchmark in benchmarks]
    upgraded = {**record, "schema_version": NEXT_VERSION}
    if "untimed_cases" in record:
        upgraded["untimed_cases"] = renamed(record["untimed_cases"])
    return {**document, "benchmarks": benchmarks, _KEY: upgraded}


def _of_version_1(content: object) -> Json | None:
    """Return our part of a JSON document if it has version 1."""
    own = content.get(_KEY) if isinstance(content, dict) else None
    has_version_1 = isinstance(own, dict) and own.get("schema_version", VERSION) == VERSION
    return own if has_version_1 else None


def _upgraded_benchmark(benchmark: object) -> object:
    if not isinstance(benchmark, dict) or "extra_info" not in benchmark:
        return benchmark
    return {**benchmark, "extra_info": renamed(benchmark["extra_info"])}


def renamed(value: object) -> object:
    """Return JSON with former names of metrics, at any depth, replaced by those of version 2."""
    if isinstance(value, dict):
        return {_RENAMED.get(key, key): _renamed_value(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner) for inner in value]
    return value


def _renamed_value(key: str, value: object) -> object:
    if key == "bound" and isinstance(value, str):
        return _LIMITS.get(value, value)
    return renamed(value) if isinstance(value, dict | list) else value
