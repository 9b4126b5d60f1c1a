"""Integrity of a session's hosts: gathered from all ranks, recorded, and judged."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

from mlpstorage_bench.benchmark_type.interface import Engine
from mlpstorage_bench.cluster.findings import Check, checks_of, with_earlier
from mlpstorage_bench.cluster.information import ClusterInformation
from mlpstorage_bench.cluster.integrity import (
    describe_integrity,
    describe_process,
    gather_integrity,
)
from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.options.settings import Settings
from mlpstorage_bench.redaction.text import redact_json
from mlpstorage_bench.results.verification import CLOSED_MODE
from mlpstorage_bench.session.run import Run


class Session(Protocol):
    """The part of a session whose hosts are checked."""

    settings: Settings
    comm: Comm
    host: str

    @property
    def cluster(self) -> ClusterInformation:
        """The hosts."""
        ...


def _found_before(run: Run) -> list[Check]:
    earlier = () if run.resumption is None else run.resumption.findings
    return [Check(one.check, one.host, "finding", one.seen) for one in earlier]


def record_integrity(session: Session, run: Run, engine: Engine) -> list[str]:
    """Add facts and verdicts on the hosts to the run; return notes on findings, on rank 0.

    Collective. In a closed run findings are no notes, but the reasons for which it is INVALID.
    """
    comm, settings, name = session.comm, session.settings, session.host
    process = describe_process(comm.rank)
    is_first = comm.rank == session.cluster.ranks_by_host[name][0]
    own = (
        describe_integrity(name, process, settings.cache_dir, engine.page_cache)
        if is_first
        else None
    )
    is_buffered = any(comm.allgather(engine.is_buffered))
    hosts = gather_integrity(comm, process, own, name)
    if not hosts:
        return []
    checks = with_earlier(checks_of(hosts, is_buffered=is_buffered), _found_before(run))
    facts = {"hosts": [asdict(one) for one in hosts], "checks": [asdict(one) for one in checks]}
    run.add_system_facts(redact_json(facts))
    if settings.mode == CLOSED_MODE:
        return []
    return [f"{one.host}: {one.check}: {one.seen}" for one in checks if one.verdict == "finding"]
