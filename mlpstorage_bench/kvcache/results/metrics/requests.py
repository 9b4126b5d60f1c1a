"""Requests: number, lateness, and latencies of each class of service."""

from __future__ import annotations

from mlpstorage_bench.kvcache.config.slo import describe
from mlpstorage_bench.kvcache.results.trial_ranks import RANKS
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import LIST, MEAN_WITH_SPREAD, POOLED, SUM
from mlpstorage_bench.units import COUNT, MILLISECONDS, NS_PER_MS, PER_S, RECORD, TOKENS_PER_S

_LATE = (
    "Requests that come at a rate: from when a request was due to when a lane took it. Requests "
    "that no lane took count with the time until the window closed."
)


def _lateness(percent: float) -> Metric[float | None]:
    return Metric(
        _LATE,
        MILLISECONDS,
        RANKS.pooled(lambda samples: samples.lateness.percentile_ms(percent)),
        POOLED,
        formula=f"{percent:g} % of samples do not exceed it",
        better="lower",
    )


class Requests(Measured):
    """Requests."""

    requests_per_s = Metric(
        "Rate of requests that were completed; none if no time passed, in a simulation.",
        PER_S,
        RANKS.total_known(lambda rank: rank.per_s(rank.requests.requests)),
        MEAN_WITH_SPREAD,
        formula="requests ÷ window_s, of each rank",
        title="req/s",
        better="higher",
        gate="-10%",
        shown=Shown.HEADLINE,
    )
    requests = Metric(
        "Requests that were completed inside the window.",
        COUNT,
        RANKS.total(lambda rank: rank.requests.requests),
        SUM,
        shown=Shown.REPORT,
    )
    generated_tokens_per_s = Metric(
        "Rate of tokens that completed requests generated.",
        TOKENS_PER_S,
        RANKS.total_known(lambda rank: rank.per_s(rank.requests.generated_tokens)),
        MEAN_WITH_SPREAD,
        formula="tokens of the requests that count ÷ window_s, of each rank",
        better="higher",
    )
    arrived = Metric(
        "Requests that became due inside the window.",
        COUNT,
        RANKS.total(lambda rank: rank.arrived),
        SUM,
    )
    unserved = Metric(
        "Requests that were due when the window closed and that no lane had taken.",
        COUNT,
        RANKS.total(lambda rank: rank.unserved),
        SUM,
        better="lower",
    )
    lateness_p50_ms = _lateness(50)
    lateness_p95_ms = _lateness(95)
    lateness_p99_ms = _lateness(99)
    lateness_max_ms = Metric(
        _LATE,
        MILLISECONDS,
        RANKS.pooled(
            lambda samples: samples.lateness.max_ns / NS_PER_MS if samples.lateness.count else None
        ),
        LIST,
        formula="the longest",
        better="lower",
    )
    in_flight_at_open_requests = Metric(
        "Requests in service, or being answered, when the window opened.",
        COUNT,
        RANKS.total(lambda rank: rank.requests.in_flight_at_open),
        SUM,
        title="requests in flight at open",
        shown=Shown.REPORT,
    )
    in_flight_at_close_requests = Metric(
        "Requests in service, or being answered, when the window closed.",
        COUNT,
        RANKS.total(lambda rank: rank.requests.in_flight_at_close),
        SUM,
        title="requests in flight at close",
        shown=Shown.REPORT,
    )
    qos = Metric(
        "Each class of service: requests, latency percentiles beside the targets, and "
        "within_target, the share of requests within the p95 target.",
        RECORD,
        RANKS.pooled(lambda samples: describe(samples.requests.classes)),
        POOLED,
    )
