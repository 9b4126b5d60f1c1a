"""Verdicts on states of hosts: pure decisions over samples of real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlpstorage_bench.cluster.findings import (
    BARRIERS,
    DROP,
    FLUSH,
    FUNCTIONS,
    Check,
    checks_of,
    judge_drop,
    judge_flush,
    judge_functions,
    judge_mounts,
    with_earlier,
)
from mlpstorage_bench.cluster.integrity import (
    HostIntegrity,
    KernelFacts,
    MountFacts,
    ProcessFacts,
)
from mlpstorage_bench.process.preloads import Preloads
from mlpstorage_bench.process.symbols import ResolvedFunctions
from mlpstorage_bench.storage.page_cache_probe import (
    PROBE_BYTES,
    FlushState,
    PageCacheStates,
)

LIBC = "/lib/libc.so.6"
OWN = ResolvedFunctions((LIBC,), {"fsync": LIBC, "open": LIBC})
FAKED = ResolvedFunctions((LIBC,), {"fsync": "/opt/fast.so", "open": LIBC})
FLUSHED = FlushState("fsync", 4096, 0, PROBE_BYTES)
EXT4 = MountFacts("/data", "ext4", ("rw", "relatime"))
STATES = PageCacheStates(4096, "cachestat", (FLUSHED,), 4096, 0)


def host(*mounts: MountFacts, **changes: Any) -> HostIntegrity:
    made = HostIntegrity(
        "h1",
        (ProcessFacts((0, 1), Preloads(), OWN),),
        (),
        KernelFacts("6.18", "#1", "x86_64", "0"),
        (),
        mounts or (EXT4,),
        (),
        STATES,
    )
    return replace(made, **changes)


def flushed(*flushes: FlushState, **changes: Any) -> HostIntegrity:
    return host(page_cache=replace(STATES, flushes=flushes, **changes))


def processes(*functions: ResolvedFunctions) -> HostIntegrity:
    return host(
        processes=tuple(
            ProcessFacts((rank,), Preloads(), one) for rank, one in enumerate(functions)
        )
    )


@pytest.mark.parametrize(
    ("made", "verdict", "seen"),
    [
        (processes(OWN), "ok", f"all are in {LIBC}"),
        (processes(FAKED), "finding", "fsync is in /opt/fast.so"),
        (processes(OWN, FAKED), "finding", "fsync is in /opt/fast.so (ranks 1)"),
        (processes(ResolvedFunctions(problem="static")), "not measurable", "static"),
        (processes(ResolvedFunctions(problem="static"), FAKED), "finding", "fsync is in"),
    ],
)
def test_functions_of_another_object_are_a_finding(
    made: HostIntegrity, verdict: str, seen: str
) -> None:
    found = judge_functions(made)
    assert found[0] == verdict
    assert found[1].startswith(seen)


def test_preloaded_library_is_a_fact_and_no_finding() -> None:
    preloads = Preloads("/usr/lib/libtcmalloc.so", "", ("/opt/all.so",))
    made = host(processes=(ProcessFacts((0,), preloads, OWN),))
    assert judge_functions(made)[0] == "ok"


OVERLAY = MountFacts("/o", "overlay", ())
MOUNTED_WITH_SYNC = replace(EXT4, options=("rw", "sync"))


@pytest.mark.parametrize(
    ("made", "verdict", "seen"),
    [
        (flushed(FLUSHED), "ok", "4096 of 4096 pages were dirty before fsync, none after it"),
        (flushed(replace(FLUSHED, unwritten_after=1)), "finding", "1 of 4096 pages are still"),
        (
            flushed(FLUSHED, FlushState("fdatasync", 9, 9, 0)),
            "finding",
            "9 of 4096 pages are still to be written after fdatasync",
        ),
        (flushed(replace(FLUSHED, unwritten_before=0)), "not measurable", "no page was dirty"),
        (flushed(), "not measurable", "nothing was flushed"),
        (flushed(problem="No space left"), "not measurable", "No space left"),
        (flushed(FlushState("fsync", 9, 9, 0), problem="EIO"), "finding", "9 of 4096"),
        (flushed(FLUSHED, problem="it had not ended"), "not measurable", "it had not ended"),
        (flushed(FlushState("fsync", None, None, PROBE_BYTES)), "ok", "until after fsync of 16"),
        (flushed(FlushState("fsync", None, None, 4096)), "finding", "until after fsync of 16 MiB"),
        (flushed(FlushState("fsync", None, None, None)), "not measurable", "neither pages nor a"),
        (host(MountFacts("/dev/shm", "tmpfs", ())), "not measurable", "tmpfs keeps files in mem"),
        (host(MountFacts("/tank", "zfs", ())), "not measurable", "zfs has a cache of its own"),
        (host(MOUNTED_WITH_SYNC), "not measurable", "ext4 writes at once"),
        (host(replace(EXT4, options=("rw", "dax=always"))), "not measurable", "ext4 has no page"),
        (host(OVERLAY, MOUNTED_WITH_SYNC), "not measurable", "ext4 writes at once"),
        (host(OVERLAY, MountFacts("/x", "tmpfs", ())), "not measurable", "tmpfs keeps files"),
        (host(EXT4, MountFacts("/x", "tmpfs", ())), "ok", "4096 of 4096"),
    ],
)
def test_pages_that_a_flush_leaves_are_a_finding(
    made: HostIntegrity, verdict: str, seen: str
) -> None:
    found = judge_flush(made)
    assert found[0] == verdict
    assert found[1].startswith(seen)


@pytest.mark.parametrize(
    ("made", "verdict", "seen"),
    [
        (host(), "ok", "4096 of 4096 pages were cached before the drop, 0 after it"),
        (flushed(FLUSHED, cached_after_drop=40), "ok", "4096 of"),
        (flushed(FLUSHED, cached_after_drop=41), "finding", "4096 of 4096 pages were cached"),
        (flushed(FLUSHED, cached_before_drop=0), "not measurable", "no page was cached"),
        (flushed(cached_before_drop=None), "not measurable", "cached pages cannot be counted"),
        (flushed(problem="No space left"), "not measurable", "No space left"),
        (
            flushed(replace(FLUSHED, unwritten_before=0), cached_after_drop=4096),
            "not measurable",
            "no page was dirty",
        ),
        (
            flushed(FlushState("fsync", None, None, None), cached_after_drop=4096),
            "finding",
            "4096 of 4096",
        ),
        (host(MountFacts("/dev/shm", "tmpfs", ())), "not measurable", "tmpfs keeps files in mem"),
    ],
)
def test_dropped_pages_that_stay_are_a_finding(
    made: HostIntegrity, verdict: str, seen: str
) -> None:
    found = judge_drop(made)
    assert found[0] == verdict
    assert found[1].startswith(seen)


@pytest.mark.parametrize(
    ("mounts", "verdict", "seen"),
    [
        ((EXT4,), "ok", "/data (ext4)"),
        ((MountFacts("/d", "ext4", ("rw", "nobarrier")),), "finding", "/d (ext4) is mounted with"),
        ((MountFacts("/d", "f2fs", ("fsync_mode=nobarrier",)),), "finding", "/d (f2fs)"),
        ((EXT4, MountFacts("/d", "xfs", ("nobarrier",))), "finding", "/d (xfs) is mounted"),
        ((MountFacts("/o", "overlay", ("volatile",)), EXT4), "finding", "/o (overlay)"),
        ((MountFacts("/o", "overlay", ("fsync=volatile",)), EXT4), "finding", "/o (overlay)"),
        ((MountFacts("/o", "tmpfs", ("volatile",)),), "ok", "/o (tmpfs)"),
        ((), "not measurable", "the kernel lists no mount"),
    ],
)
def test_options_without_flushes_are_a_finding(
    mounts: tuple[MountFacts, ...], verdict: str, seen: str
) -> None:
    found = judge_mounts(mounts)
    assert found[0] == verdict
    assert found[1].startswith(seen)


def test_findings_of_earlier_parts_stay_in_a_resumed_run() -> None:
    now = Check(FLUSH, "h1", "ok", "none after it")
    before = Check(FLUSH, "h1", "finding", "9 of 9 pages")
    kept = Check(FLUSH, "h1", "finding", "9 of 9 pages, before the run was resumed")
    assert with_earlier([now], []) == [now]
    assert with_earlier([now], [before]) == [now, kept]
    assert with_earlier([now], [kept]) == [now, kept], "resumed twice"
    assert with_earlier([before], [before]) == [before], "found again"


@pytest.mark.parametrize(
    ("is_buffered", "names"),
    [(True, [FUNCTIONS, FLUSH, DROP, BARRIERS]), (False, [FUNCTIONS, FLUSH, BARRIERS])],
)
def test_drop_concerns_buffered_runs_alone(is_buffered: bool, names: list[str]) -> None:  # noqa: FBT001 - a parameter
    checks = checks_of([host(), host(hostname="h2")], is_buffered=is_buffered)
    assert [check.check for check in checks] == names * 2
    assert {check.verdict for check in checks} == {"ok"}
    assert [check.host for check in checks] == ["h1"] * len(names) + ["h2"] * len(names)
