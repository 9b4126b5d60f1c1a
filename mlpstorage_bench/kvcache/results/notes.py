"""Notes on a case's metrics, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.measure.ceiling import HARNESS, HARNESS_SHARE

UNTOUCHED = "no entry reached the storage tier: only memory was measured"
SIMULATED = "time was simulated, without storage: metrics state the demand of the workload"
WITHOUT_TIME = "no time passed in the simulation: amounts are exact, and there are no rates"
_ENOUGH_HUGE_PAGES = 0.9
"""Share of the buffers in huge pages below which a note is made."""
_LEAST_STALL_S = 1.0
"""Shortest drain that is noted: chunks in flight end within milliseconds."""
_MORE_LOAD = "Use more hosts or ranks, or larger chunks, to load the storage more"
_TOO_LOW = (
    "{:.0%} of the harness ceiling, which this host reaches without storage; it was measured too "
    "low, as happens while other programs use the processors"
)
_AGAIN = "Run again while nothing else uses them"
_LONGER = "Raise write_limit_gb for windows of the whole duration"
_ALONE = ". Measure while nothing else uses the storage"
_DOUBTFUL = ("served from page cache", "in memory", "foreign traffic")
"""Verdicts of any audit that are noted."""
_UNCONFIRMED = ("bounded", "not measurable")
"""Verdicts that are noted where they are in the headline."""


def touched_storage(trials: Sequence[TrialResult]) -> bool:
    """Whether any rank wrote to storage."""
    return any(trial.storage_entries or trial.write_bytes for trial in trials)


def notes_on(trials: Sequence[TrialResult]) -> list[str]:
    """Return the notes on a case's trials."""
    return [
        *_storage_notes(trials),
        *_content_notes(trials),
        *_load_notes(trials),
        *_transfer_notes(trials),
        *_window_notes(trials),
        *_limit_notes(trials),
        *_audit_notes(trials),
        *_request_notes(trials),
    ]


def _storage_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    if not touched_storage(trials):
        yield UNTOUCHED
    if any(trial.is_simulated for trial in trials):
        yield SIMULATED
    if any(not trial.window_s for trial in trials):
        yield WITHOUT_TIME


def _content_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    unverified = [
        trial.trial
        for trial in trials
        if touched_storage([trial])
        and not trial.is_simulated
        and not (trial.verified_reads or trial.read_back_chunks)
    ]
    if unverified:
        yield (
            f"nothing was verified in trial {', '.join(map(str, unverified))}: wrong data would "
            "not have been noticed. Set verify_rate above 0, and read_back_gb for windows in which "
            "nothing is read"
        )


def _load_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    unsteady = [trial.trial for trial in trials if trial.steady is False]
    if unsteady:
        yield (
            f"bandwidth was not steady within the window of trial "
            f"{', '.join(map(str, unsteady))}: warm up for longer, or until it is steady"
        )
    for trial in trials:
        for one in trial.stragglers:
            yield f"trial {trial.trial}: {one}"
    behind = [trial for trial in trials if trial.lateness_p50_ms and trial.unserved]
    if behind:
        yield (
            f"requests arrived faster than they were served: up to "
            f"{max(trial.unserved for trial in behind)} were waiting when a window closed, up "
            f"to {max(trial.lateness_max_ms or 0 for trial in behind):.0f} ms late"
        )


def _transfer_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    reason = next(filter(None, (trial.queue_unavailable_reason for trial in trials)), "")
    if reason:
        yield (
            "each lane had one chunk in flight at most, and none while it made or checked content: "
            f"{reason}"
        )
    refusal = next(filter(None, (trial.io_queue_refusal for trial in trials)), "")
    if refusal:
        kind = next(filter(None, (trial.io_queue for trial in trials)), "")
        yield f"chunks were moved by {kind}, as the host provides no better queue: {refusal}"
    shares = [trial.huge_page_share for trial in trials if trial.huge_page_share is not None]
    if shares and min(shares) < _ENOUGH_HUGE_PAGES:
        yield (
            f"{min(shares):.0%} of a rank's buffers were in huge pages: transfers take more CPU "
            "time, and some devices are slower. Set "
            "/sys/kernel/mm/transparent_hugepage/enabled to madvise or always, and free memory in "
            "one piece"
        )


def _window_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    early = [trial for trial in trials if trial.closed_by != "duration"]
    if early:
        lengths = [f"{trial.window_s:.2f}" for trial in early]
        low, high = min(lengths, key=float), max(lengths, key=float)
        closed_by = early[0].closed_by
        advice = f". {_LONGER}" if closed_by == "write limit" else ""
        yield (
            f"the {closed_by} closed {len(early)} of {len(trials)} windows after "
            f"{low if low == high else f'{low} to {high}'} s{advice}"
        )
    for trial in trials:
        entries = trial.latencies
        longest_s = max(entries.read_p999_ms or 0.0, entries.write_p999_ms or 0.0) / 1000
        if longest_s and trial.drain_s > max(_LEAST_STALL_S, longest_s):
            yield (
                f"trial {trial.trial}: after the window's close, chunks in flight took "
                f"{trial.drain_s:.1f} s to end, longer than whole entries within the window "
                f"({longest_s:.3g} s). No latency includes that: the storage or this host stalled"
            )


def _limit_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    limited = [trial for trial in trials if trial.limited_by == HARNESS]
    if limited:
        some = len(limited) < len(trials)
        count = f" in {len(limited)} of {len(trials)} trials" if some else ""
        nearest = max(trial.ceiling_ratio or 0 for trial in limited)
        cause = _TOO_LOW.format(nearest) if nearest > 1 else _harness_cause(limited, nearest)
        advice = _AGAIN if nearest > 1 else _MORE_LOAD
        yield f"limited by: harness{count} ({cause}). {advice}"
    above = [trial for trial in trials if trial.limited_by == "storage" and _is_idle(trial)]
    if above:
        yield (
            f"limited by: storage, but not by its devices: lanes waited for storage "
            f"{above[0].storage_wait_share or 0:.0%} of the time, and devices were busy for only "
            f"{above[0].device_share or 0:.0%}. Look for a limit above them: of a control group "
            "(io.max, blkio.throttle), of a virtual machine, or a filesystem's daemon"
        )
    if any(trial.limited_by == "unknown" for trial in trials):
        yield (
            "limited by: unknown, as this kernel does not tell what threads wait for "
            "(/proc/self/task/*/schedstat and syscall). By how much chunks' latencies are too long "
            "is unknown for the same reason"
        )


def _harness_cause(limited: Sequence[TrialResult], nearest: float) -> str:
    if nearest >= HARNESS_SHARE:
        return f"{nearest:.0%} of the harness ceiling, which this host reaches without storage"
    if (limited[0].storage_wait_share or 0) > (limited[0].harness_time_share or 0):
        return "lanes waited for data that this host's memory had, and no device: see the audit"
    shares = (
        limited[0].harness_time_share or 0,
        limited[0].thread_wait_share or 0,
        limited[0].processor_wait_share or 0,
        limited[0].lock_wait_share or 0,
    )
    return (
        f"lanes spent {shares[0]:.0%} of the time on work of this host, of it {shares[1]:.0%} "
        f"waiting while another lane had their thread, {shares[2]:.0%} for a processor and "
        f"{shares[3]:.0%} for Python's lock. Several ranks of a host have a thread each"
    )


def _is_idle(trial: TrialResult) -> bool:
    if trial.device_share is None or trial.busy_share is None:
        return False
    return trial.device_share < trial.busy_share / 2


def _audit_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    """Yield a note for each verdict but ok, with the reason of its first trial."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for trial in trials:
        verdict, reason = str(trial.audit_verdict), str(trial.audit_reason)
        is_unconfirmed = verdict in _UNCONFIRMED and not trial.is_simulated
        if verdict in _DOUBTFUL or (is_unconfirmed and touched_storage([trial])):
            reasons.setdefault(("audit", verdict), []).append(reason)
        of_host = str(trial.host_audit_verdict)
        if of_host in _DOUBTFUL and (of_host, trial.host_audit_reason) != (verdict, reason):
            found = reasons.setdefault(("audit of the host", of_host), [])
            found.append(trial.host_audit_reason)
    for (name, verdict), found in sorted(reasons.items()):
        count = "" if len(trials) == 1 else f" in {len(found)} of {len(trials)} trials, the first"
        advice = _ALONE if verdict == "foreign traffic" else ""
        yield f"{name}: {verdict}{count}: {found[0]}{advice}"


def _request_notes(trials: Sequence[TrialResult]) -> Iterator[str]:
    without = [trial.trial for trial in trials if trial.requests == 0]
    if without:
        yield (
            f"no request ended within the window of trial {', '.join(map(str, without))}; "
            "pytest-benchmark's time for it is a lower bound. Bandwidths count chunks and stand. A "
            "longer duration gives requests time to end"
        )
