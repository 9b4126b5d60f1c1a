"""Hosts that give no queue of the kernel to a session, or to few of its ranks."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from mlpstorage_bench.storage.queues import open_queue
from tests.conftest import mpirun
from tests.sandbox import MODULE, need_seccomp
from tests.session.tiny import TINY, metadata_of
from tests.variants import first_of

RANKS = 32
WITH_A_QUEUE = 4
"""Ranks for whose queues the host's limit on AIO requests is large enough."""
OPTIONS = (
    *(*TINY, "--mlps-trials=1", "--mlps-cache-dir=cache"),
    *("--mlps-set=chunks_in_flight=4", "--mlps-set=requests=4", "--mlps-set=think_time_scale=0"),
)
ONE_LANE = (
    *("--mlps-set=max_concurrent_allocs=1", "--mlps-set=num_users=1", "--mlps-set=calibration=0"),
    "--mlps-set=io_queue=linux_aio",
)
_LONG_S = 600
"""Time that so many ranks do not take, even on two processors that others use."""
NOTE = "each lane had one chunk in flight at most, and none while it made or checked content: "


def deny(pytester: pytest.Pytester, error: int, *calls: str, from_rank: int = 0) -> None:
    """Have a filter deny system calls to the ranks from one on; skip where none can."""
    need_seccomp()
    if not probe_direct_io(pytester.path).is_available:
        pytest.skip("this filesystem has no direct I/O")
    pytester.makepyfile(sandbox=MODULE, test_it="def test_run(kvcache): kvcache.run(1)\n")
    pytester.makeconftest(f"""
        import os
        from sandbox import deny
        if int(os.environ.get("OMPI_COMM_WORLD_RANK", "0")) >= {from_rank}:
            deny({error}, *{calls!r})
    """)


def metrics_of(pytester: pytest.Pytester) -> dict[str, Any]:
    metrics: dict[str, Any] = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    return metrics


@pytest.mark.slow
@pytest.mark.starts_process
@pytest.mark.parametrize("error", first_of(errno.ENOSYS, errno.EPERM))
def test_session_in_a_sandbox_without_queues_runs_and_says_so(
    pytester: pytest.Pytester, error: int
) -> None:
    deny(pytester, error, "io_uring_setup", "io_setup")
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(passed=1)
    metrics, code = metrics_of(pytester), errno.errorcode[error]
    assert metrics["io_queue"] == [""]
    (reason,) = metrics["queue_unavailable_reason"]
    assert f"no io_uring: io_uring_setup returned {code}: " in reason
    assert f"; no Linux AIO: io_setup returned {code}: " in reason
    assert f"note: workload 1: {NOTE}{reason}\n" in result.stdout.str()
    assert metrics["audit_verdict"] != "mismatch"


@pytest.mark.slow
@pytest.mark.launches_mpi
@pytest.mark.long
def test_ranks_beyond_the_limit_on_aio_requests_run_and_say_so(
    pytester: pytest.Pytester,
) -> None:
    try:
        open_queue("linux_aio", 1).queue.close()
    except QueueRefusedError as refused:
        pytest.skip(str(refused))
    deny(pytester, errno.EAGAIN, "io_setup", from_rank=WITH_A_QUEUE)
    command = (*mpirun(RANKS), sys.executable, "-m", "pytest", "--color=no")
    result = pytester.run(*command, *OPTIONS, *ONE_LANE, timeout=_LONG_S)
    assert result.ret == 0
    metrics = metrics_of(pytester)
    assert metrics["io_queue"] == ["linux_aio"]
    (reason,) = metrics["queue_unavailable_reason"]
    limit = Path("/proc/sys/fs/aio-max-nr").read_text().strip()
    assert reason.startswith(
        "no Linux AIO: io_setup returned EAGAIN: the host's limit on AIO requests is reached "
        f"(fs.aio-max-nr is {limit}, of which "
    )
    assert reason.endswith(": raise fs.aio-max-nr, or run fewer ranks on the host")
    # The note is wrapped where MPI gives rank 0 a terminal.
    output = " ".join(" ".join(result.outlines).split())
    assert output.count(NOTE) == 1, "one message for all ranks"
    assert f"note: workload 1: {NOTE}{reason}" in output
