"""Sentences on what the results of a run say about the storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.measure.ceiling import HARNESS, LOAD, STORAGE
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.trial.host_limit import has_short_processors, host_limit
from mlpstorage_bench.units import GIB_PER_S, MILLISECONDS, SHARE

_CACHED = ("served from page cache", "in memory")


def conclusions(cases: Mapping[str, Values]) -> list[str]:
    """Return a sentence on each doubt about the metrics of cases, then on each limit."""
    cached = _with(cases, "audit_verdict", *_CACHED)
    stored = {name: one for name, one in cases.items() if name not in cached}
    return [
        *_cached(cached),
        *_of_storage(_with(stored, "limited_by", STORAGE)),
        *_of_load(_with(stored, "limited_by", LOAD)),
        *_of_host(_with(stored, "limited_by", HARNESS)),
    ]


def _with(cases: Mapping[str, Values], metric: str, *values: str) -> dict[str, Values]:
    return {name: one for name, one in cases.items() if one.get(metric) in values}


def _cached(cached: Mapping[str, Values]) -> Iterator[str]:
    if cached:
        yield (
            f"Do not take the figures of {_named(cached)} for those of the storage: this host's "
            "memory served a part of them."
        )


def _of_storage(limited: Mapping[str, Values]) -> Iterator[str]:
    if not limited:
        return
    fastest = max(limited, key=lambda name: _total_gib_s(limited[name]))
    one = limited[fastest]
    latency = one.get("read_p95_ms")
    yield (
        f"{_subject(limited)} reached the limit of the storage: "
        f"{GIB_PER_S.text(one.get('read_gib_s'))} GiB/s read and "
        f"{GIB_PER_S.text(one.get('write_gib_s'))} GiB/s written"
        + ("" if len(limited) == 1 else f" in workload {fastest}")
        + ("" if latency is None else f", 95 % of entries read within {_ms(latency)}")
        + "."
    )


def _of_load(limited: Mapping[str, Values]) -> Iterator[str]:
    if not limited:
        return
    busy = [s for one in limited.values() if (s := number_of(one.get("busy_share"))) is not None]
    if busy:
        low, high = SHARE.text(min(busy)), SHARE.text(max(busy))
        seen = f": lanes used it for {low if low == high else f'{low} to {high}'} of their time"
    else:
        seen = ""
    at_rate = {name: one for name, one in limited.items() if one.get("lateness_p50_ms") is not None}
    ways = [] if len(at_rate) == len(limited) else ["raise num_users or lower think_time_scale"]
    if at_rate:
        of = "" if not ways else f" in {_named(at_rate)}"
        ways.append(f"raise rate{of}")
    advice = ", and ".join(ways)
    yield (
        f"{_subject(limited)} did not reach the limit of the storage{seen}. To find it, {advice}."
    )


def _of_host(limited: Mapping[str, Values]) -> Iterator[str]:
    for are_short in (False, True):
        found = {n: one for n, one in limited.items() if has_short_processors(one) == are_short}
        if found:
            yield host_limit([*found.values()], f"in {_named(found)}")


def _total_gib_s(case: Values) -> float:
    return sum(number_of(case.get(name)) or 0.0 for name in ("read_gib_s", "write_gib_s"))


def _ms(value: object) -> str:
    return f"{MILLISECONDS.text(value)} ms"


def _named(names: Mapping[str, Values]) -> str:
    """Return `workload 1`, or `workloads 1, 2 and 3`."""
    *most, last = names
    return f"workloads {', '.join(most)} and {last}" if most else f"workload {last}"


def _subject(names: Mapping[str, Values]) -> str:
    return _named(names).capitalize()
