"""Audits: reported bytes against the kernel's own counters."""

from __future__ import annotations

from mlpstorage_bench.measure.audit import SEVERITY
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import LARGEST, SUM, of_largest, of_worst
from mlpstorage_bench.trial.rank_windows import RANKS
from mlpstorage_bench.units import BYTES, GIB_PER_S, RATIO, TEXT

_WORST_RANK = "of the rank or bottom with the worst verdict, of several furthest from 1"
_WORST_HOST = "of the host with the worst verdict, of several furthest from 1"
_WORST = of_worst("audit_verdict", SEVERITY, "audit_ratio")
_WORST_OF_HOSTS = of_worst("host_audit_verdict", SEVERITY, "host_audit_ratio")


class Audits(Measured):
    """Audit against the kernel's counters."""

    audit_verdict = Metric(
        "Reported bytes against the kernel's count for each rank's process, or its host where a "
        "process has none, and against devices at the bottom or a network filesystem's counters: "
        "ok, through page cache (as a training may ask for), bounded, not measurable, foreign "
        "traffic, in memory, or served from page cache.",
        TEXT,
        RANKS.together(_WORST_RANK, lambda trial: trial.audits.worst.verdict),
        _WORST,
        title="audit",
        shown=Shown.HEADLINE,
        legend="audit: ok if the kernel counted the reported bytes within 1 %, with their ratio; "
        "bounded, not measurable: nothing confirms them; foreign traffic: the kernel counted more, "
        "of other programs or of the filesystem; in memory, served from page cache: they are not "
        "the storage's",
        beside="audit_ratio",
        explained_by="audit_reason",
    )
    audit_ratio = Metric(
        "Reported bytes ÷ the kernel's, reads and writes together; none when through page cache, "
        "bounded or not measurable.",
        RATIO,
        RANKS.together(_WORST_RANK, lambda trial: trial.audits.ratio),
        _WORST,
        title="of the kernel's count",
    )
    audit_reason = Metric(
        "Reason for audit_verdict; empty when ok.",
        TEXT,
        RANKS.together(_WORST_RANK, lambda trial: trial.audits.worst.reason),
        _WORST,
    )
    page_cache_bytes = Metric(
        "Reported bytes that the kernel did not count for the processes, or further down.",
        BYTES,
        RANKS.together("sum", lambda trial: trial.page_cache_bytes),
        SUM,
        better="lower",
    )
    host_audit_verdict = Metric(
        "Reported bytes of all ranks of a host against what its block devices, or counters of a "
        "network filesystem, moved for all processes.",
        TEXT,
        RANKS.together(_WORST_HOST, lambda trial: trial.host_audits.worst.verdict),
        _WORST_OF_HOSTS,
        title="host audit",
        shown=Shown.REPORT,
        beside="host_audit_ratio",
        explained_by="host_audit_reason",
    )
    host_audit_ratio = Metric(
        "Reported bytes of a host ÷ what its block devices or network filesystem moved; none when "
        "through page cache, bounded or not measurable.",
        RATIO,
        RANKS.together(_WORST_HOST, lambda trial: trial.host_audits.ratio),
        _WORST_OF_HOSTS,
        title="of the devices' count",
    )
    host_audit_reason = Metric(
        "Reason for host_audit_verdict; empty when ok.",
        TEXT,
        RANKS.together(_WORST_HOST, lambda trial: trial.host_audits.worst.reason),
        _WORST_OF_HOSTS,
    )
    foreign_gib_s = Metric(
        "Lower bound of the bandwidth of all other programs on the hosts' devices, or network "
        "filesystems that count exactly; none when not measurable.",
        GIB_PER_S,
        RANKS.together("sum over devices", lambda trial: trial.foreign_gib_s),
        LARGEST,
        formula="(bytes of the devices - bytes that the kernel counted for the ranks, or that they "
        "report where that is more - 1 % - what may be in flight) ÷ time between the readings of "
        "the devices' counters",
        title="other programs GiB/s",
        better="lower",
        shown=Shown.REPORT,
    )
    foreign_traffic_on = Metric(
        "Device or mount, and host, where other programs moved most; empty when they moved "
        "nothing.",
        TEXT,
        RANKS.together("that with the largest", lambda trial: trial.foreign_traffic_on),
        of_largest("foreign_gib_s"),
    )
