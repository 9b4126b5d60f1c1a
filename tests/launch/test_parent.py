"""The parent of launched ranks: exit status, time limits and clean-up."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch import parent_death
from mlpstorage_bench.launch.command import LaunchPlan, plan_launch
from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.launch.exit_reason import LaunchExit
from mlpstorage_bench.launch.hosts import Host, Layout, lay_out
from mlpstorage_bench.launch.launchers.launcher import LaunchFlags
from mlpstorage_bench.launch.monitor import Limits
from mlpstorage_bench.launch.parent import run
from mlpstorage_bench.launch.status_channel import (
    DIRECTORY_VARIABLE,
    HOST_VARIABLE,
    StatusChannel,
    StatusReader,
    this_host,
)
from tests.failures.scenario import LIMIT_S
from tests.variants import first_of

pytestmark = pytest.mark.starts_process

LIMITS = Limits(grace_s=1)
WORD = "mlps-0123456789"


def plan(*prefix: str) -> LaunchPlan:
    """Return a launch plan whose launcher is a program of the test."""
    layout: Layout = lay_out((Host("localhost", None),), num_processes=1, npernode=None)
    return LaunchPlan(prefix, (), "a launcher", (), layout, all_hosts_are_here=True)


def script(folder: Path, text: str) -> str:
    path = folder / "launcher"
    path.write_text(
        f"#!{sys.executable}\nimport os, signal, sys, time\n"
        f"place = os.environ.get('{DIRECTORY_VARIABLE}', '')\n{text}\n"
    )
    path.chmod(0o755)
    return str(path)


def report(kind: str, text: str = "") -> str:
    """Return Python code that reports a status to the parent."""
    return f"open(place + '/{kind}', 'w').write({text!r})"


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        (
            report("joined"),
            86,
            "the launcher reports success, but rank 0 did not report the session's end",
        ),
        (f"{report('completed', '0')}", 0, ""),
        (f"{report('completed', '1')}; sys.exit(5)", 1, ""),
        (
            f"{report('completed', '0')}; sys.exit(9)",
            86,
            "the launcher failed after the session's end",
        ),
        (f"{report('completed')}; sys.exit(4)", 4, ""),
        (f"{report('completed')}; sys.exit(5)", 1, ""),
        (f"{report('completed')}; sys.exit(0)", 1, ""),
        (f"{report('joined')}; sys.exit(5)", 86, "rank 0 did not report the session's end"),
        (
            f"{report('aborting', '86 test_x failed on rank 1 on h2')}; sys.exit(1)",
            86,
            "test_x failed on rank 1 on h2",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            86,
            "the launcher was killed (SIGKILL); hosts requested: localhost; ranks started on: none",
        ),
        (
            report("registered-1", "h2"),
            86,
            "through MPI; hosts requested: localhost; ranks started on: h2; no status from rank 0",
        ),
        (f"{report('joined')}; sys.exit(2)", 86, "rank 0 did not report the session's end"),
        ("sys.exit(3)", 86, "no rank started; hosts requested: localhost; ranks started on: none"),
    ],
    ids=[
        "no end reported",
        "passed",
        "status of rank 0",
        "failure after the session",
        "usage error",
        "combined statuses",
        "success without a status",
        "combined statuses without an end",
        "abort",
        "launcher killed",
        "ranks not connected",
        "status of an interrupt",
        "no rank started",
    ],
)
def test_rank_0_status_overrides_launcher_status(
    tmp_path: Path, text: str, status: int, reason: str
) -> None:
    ending = run(plan(script(tmp_path, text)), LIMITS)
    assert ending.status == status
    assert reason in ending.reason
    assert bool(reason) == bool(ending.reason)


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (report("completed", "0"), 86, "the session is over"),
        (report("aborting", "86 test_x hangs"), 86, "the session is over"),
        (
            f"{report('rank-1', str(2**22 - 1))}; {report('joined')}",
            86,
            "rank 1 on .* died before the session's end",
        ),
    ],
    ids=["completed", "aborted", "rank exited"],
)
def test_launcher_still_running_after_session_end_is_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, status: int, said: str
) -> None:
    stubborn = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {text}; time.sleep(600)"
    assert run(plan(script(tmp_path, stubborn)), replace(LIMITS, end_s=1)).status == status
    error = capfd.readouterr().err
    assert "the launcher does not end although" in error
    assert re.search(said, error)


def test_stopped_ranks_killed_by_the_launcher_count_as_interrupted(tmp_path: Path) -> None:
    """Open MPI kills its ranks a third of a second after it was sent SIGTERM."""
    exits = f"{report('rank-1', str(2**22 - 1))}; {report('stopped-1')}; sys.exit(1)"
    ending = run(plan(script(tmp_path, f"{report('joined')}; {exits}")), LIMITS)
    assert (ending.status, ending.run_status) == (2, "interrupted")


def test_rank_that_died_beside_stopped_ranks_is_named(tmp_path: Path) -> None:
    """Launchers send the remaining ranks SIGTERM when one has died."""
    exits = f"{report('stopped-0')}; {report('exited-1', 'h2')}; sys.exit(1)"
    ending = run(plan(script(tmp_path, f"{report('joined')}; {exits}")), LIMITS)
    assert (ending.status, ending.run_status) == (86, "died")
    assert ending.reason == "rank 1 on h2 died before the session's end"


def test_session_without_status_beyond_test_limit_is_ended(tmp_path: Path) -> None:
    limits = Limits(grace_s=1, test_s=1)
    text = f"{report('joined')}; {report('step', 'test_x')}; time.sleep(600)"
    ending = run(plan(script(tmp_path, text)), limits)
    assert ending.status == 86
    assert ending.reason == "no status from the ranks for 1 s, in test_x"


@pytest.mark.parametrize(
    ("text", "may_queue"),
    [("", False), (report("registered-1", "h2"), True)],
    ids=["since the launch", "since a rank has started, where launches queue"],
)
def test_launch_beyond_startup_limit_is_ended(
    tmp_path: Path, text: str, *, may_queue: bool
) -> None:
    """Example: `ssh` waits for an answer, and no rank has started."""
    waiting = replace(plan(script(tmp_path, f"{text}\ntime.sleep(600)")), may_queue=may_queue)
    ending = run(waiting, replace(LIMITS, startup_s=1))
    assert ending.status == 86
    assert ending.reason.startswith("the ranks did not connect through MPI")


def test_queued_launch_is_not_ended(tmp_path: Path) -> None:
    text = f"time.sleep(3); {report('joined')}; {report('completed', '0')}"
    queued = replace(plan(script(tmp_path, text)), may_queue=True)
    assert run(queued, replace(LIMITS, startup_s=1)) == LaunchExit(0)


def test_rank_that_unregisters_before_being_watched_has_not_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent may be delayed between reading the rank's file and opening its process."""
    here = [{0: 2**22 - 1}]
    monkeypatch.setattr(StatusReader, "local_processes", lambda _: here.pop() if here else {})
    assert run(plan(script(tmp_path, report("completed", "0"))), LIMITS) == LaunchExit(0)


def test_running_session_without_limits_is_not_ended(tmp_path: Path) -> None:
    """Without a limit or a known failure, a session may take any time."""
    text = (
        f"{report('joined')}; {report('step', 'test_x')}; time.sleep(3); {report('completed', '0')}"
    )
    assert run(plan(script(tmp_path, text)), LIMITS) == LaunchExit(0)


@pytest.mark.long
def test_changed_system_clock_ends_no_running_session(tmp_path: Path) -> None:
    """File times may be in the past: only a change counts."""
    text = f"""
{report("joined")}
for second in range(8):
    {report("step", "test_x")}
    os.utime(place + "/step", (second, second))
    time.sleep(1)
{report("completed", "0")}
"""
    assert run(plan(script(tmp_path, text)), Limits(grace_s=1, test_s=6)) == LaunchExit(0)


@pytest.mark.long
def test_concurrent_registration_is_read_consistently(tmp_path: Path) -> None:
    code = """if True:
        import pathlib, sys
        from mlpstorage_bench.launch.status_channel import StatusChannel
        parent = StatusChannel(pathlib.Path(sys.argv[1]), "word")
        for _ in range(200):
            for rank in range(32):
                parent.register(rank)
            for rank in range(32):
                parent.unregister(rank)
    """
    status_reader = StatusReader(tmp_path, WORD)
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as ranks:
        while ranks.poll() is None:
            assert status_reader.seconds_since_status() < LIMIT_S
            assert set(status_reader.local_processes()) <= set(range(32))
    assert ranks.returncode == 0


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("here", "there", "rank 0 on HERE died before the session's end; so did rank 1 on h2, "),
        ("there", "here", "rank 1 on h2 died before the session's end"),
    ],
)
def test_first_reported_death_on_two_hosts_is_the_reason(
    tmp_path: Path, first: str, second: str, reason: str
) -> None:
    """The report of another host is delayed: its consequence here may be seen first."""
    exits = {
        "here": "os.kill(child.pid, signal.SIGKILL); child.wait()",
        "there": report("exited-1", "h2"),
    }
    text = f"""
import subprocess
{report("joined")}
child = subprocess.Popen(["sleep", "60"])
open(place + "/new", "w").write(str(child.pid))
os.rename(place + "/new", place + "/rank-0")  # as ranks leave theirs: whole
time.sleep(1.5)  # until the parent has seen it
{exits[first]}
time.sleep(0.5)
{exits[second]}
"""
    ending = run(plan(script(tmp_path, text)), replace(LIMITS, grace_s=5))
    assert (ending.status, ending.run_status) == (86, "died")
    assert ending.reason.removeprefix("the launcher reports success, but ").startswith(
        reason.replace("HERE", os.uname().nodename)
    )


def test_launcher_without_helper_process_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(parent_death, "start_helper", fail)
    launcher = script(tmp_path, "time.sleep(600)")
    before = set(psutil.Process().children())
    with pytest.raises(LaunchError, match=r"helper process .* No space left on device"):
        run(plan(launcher), LIMITS)
    assert set(psutil.Process().children()) <= before


def test_launcher_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    (tmp_path / "launcher").write_text("")
    with pytest.raises(LaunchError, match=r"The launcher \(.*Permission denied"):
        run(plan(str(tmp_path / "launcher")), LIMITS)


def test_processes_left_by_launcher_are_killed(tmp_path: Path) -> None:
    left = tmp_path / "left"
    text = f"""
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
open({str(left)!r}, "w").write(str(child))
"""
    run(plan(script(tmp_path, text)), LIMITS)
    process_id = int(left.read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(process_id) and psutil.Process(process_id).status() != "zombie":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_processes_started_during_cleanup_are_killed(tmp_path: Path) -> None:
    text = """
if os.fork() == 0:
    os.setsid()
    for _ in range(300):
        time.sleep(0.005)
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
    os._exit(0)
time.sleep(0.5)
"""
    launcher = script(tmp_path, text)
    run(plan(launcher), LIMITS)
    assert not [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if launcher in (process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


PARENT = """if True:
    import sys
    from dataclasses import replace
    from tests.launch.test_parent import LIMITS, plan, run
    remote = replace(plan(sys.argv[1]), all_hosts_are_here=False)
    sys.exit(run(remote, LIMITS).status)
"""
"""Program of a parent with ranks on other hosts; its standard error is the test's."""


def test_status_lines_are_read_with_closed_standard_error(tmp_path: Path) -> None:
    text = f"""
os.write(2, b"noise" * 1000)
os.write(2, os.environ[{LAUNCH_ID_VARIABLE!r}].encode() + b" completed 0\\n")
"""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as error:
        done = subprocess.run(
            [sys.executable, "-c", PARENT, script(tmp_path, text)], stderr=error, check=False
        )
    assert done.returncode == 0


def test_standard_error_is_complete_with_slow_reader(tmp_path: Path) -> None:
    size = 1 << 20
    text = f"""
os.write(2, b"x" * {size})
os.write(2, os.environ[{LAUNCH_ID_VARIABLE!r}].encode() + b" completed 0\\n")
"""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # some terminal programs leave it so
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, script(tmp_path, text)], stderr=writing
    ) as parent:
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as error:
            received = 0
            while part := error.read(1 << 14):
                received += len(part)
                time.sleep(0.01)
    assert parent.returncode == 0
    assert received == size


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.parametrize(("body", "status"), first_of(("assert False", 1), ("pass", 0)))
def test_rank_0_on_another_host_reports_status_without_visible_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    body: str,
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_it.py").write_text(f"def test_it(mpi_comm): {body}")
    layout = lay_out((Host("localhost", None),), num_processes=2, npernode=None)
    root = os.geteuid() == 0
    flags = LaunchFlags(oversubscribe=True, allow_run_as_root=root, transport="auto", extra=())
    local = plan_launch(layout, flags, None, ["-p", "no:cacheprovider", "test_it.py"])
    remote = replace(
        local,
        prefix=(*local.prefix, "env", f"{HOST_VARIABLE}=another"),
        all_hosts_are_here=False,
    )
    assert run(remote, LIMITS) == LaunchExit(status)
    captured = capfd.readouterr()
    assert "mlps-" not in captured.err
    assert "completed" not in captured.err


@given(
    parts=st.lists(
        st.one_of(st.binary(max_size=20), st.sampled_from([b"mlps-", b"\n", b"mlps-0"]))
    ),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    statuses=st.lists(st.integers(0, 255), max_size=3),
    data=st.data(),
)
def test_status_lines_are_stripped_across_any_split(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[bytes],
    cuts: list[int],
    statuses: list[int],
    data: st.DataObject,
) -> None:
    status_reader = StatusReader(tmp_path_factory.mktemp("status_reader"), WORD)
    stream = list(parts)
    for status in statuses:
        place = data.draw(st.integers(0, len(stream)))
        stream.insert(place, f"{WORD} completed {status}\n".encode())
    last_status = [part for part in stream if part.startswith(WORD.encode())][-1:]
    whole = b"".join(stream)
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    passed = b"".join(
        status_reader.strip_status_lines(whole[begin:end]) for begin, end in pairwise(edges)
    )
    assert passed + status_reader.strip_status_lines(b"\n")[:-1] == b"".join(parts)
    assert status_reader.read("completed") == (
        last_status[0].decode().split()[-1] if last_status else None
    )


def test_ranks_on_the_parents_host_write_status_files(tmp_path: Path) -> None:
    here = StatusChannel(tmp_path, WORD)
    here.register(3)
    here.send("completed", "7")
    status_reader = StatusReader(tmp_path, WORD)
    assert status_reader.local_processes() == {3: os.getpid()}
    assert status_reader.read("completed") == "7"
    here.unregister(3)
    assert status_reader.local_processes() == {}


def test_parents_host_is_identified_by_name_and_directory(tmp_path: Path) -> None:
    """Hosts may share the temporary directory, or ranks may not have access to it."""
    here = {
        DIRECTORY_VARIABLE: str(tmp_path),
        HOST_VARIABLE: this_host(),
        LAUNCH_ID_VARIABLE: WORD,
    }
    assert StatusChannel.from_environ(here) == StatusChannel(tmp_path, WORD)
    assert StatusChannel.from_environ({**here, HOST_VARIABLE: "h2/another boot"}) == StatusChannel(
        None, WORD
    )
    assert StatusChannel.from_environ({**here, DIRECTORY_VARIABLE: "/nowhere"}) == StatusChannel(
        None, WORD
    )
    assert StatusChannel.from_environ({}) is None


def test_killed_rank_on_another_host_is_reported_by_its_reaper(
    tmp_path: Path,
) -> None:
    """A rank that unregisters first is not reported."""
    code = """if True:
        import os, sys
        from mlpstorage_bench.launch.status_channel import StatusChannel
        parent = StatusChannel(None, sys.argv[1])
        parent.register(3)
        if sys.argv[2] == "departs":
            parent.unregister(3)
        os._exit(0)
    """
    status_reader = StatusReader(tmp_path, WORD)
    for what in ("departs", "dies"):
        done = subprocess.run(
            [sys.executable, "-c", code, WORD, what], stderr=subprocess.PIPE, check=True
        )
        assert status_reader.exited_elsewhere() == []
        assert status_reader.strip_status_lines(done.stderr) == b""
    assert status_reader.registered_hosts() == [os.uname().nodename]
    assert status_reader.exited_elsewhere() == [f"rank 3 on {os.uname().nodename}"]


def test_killed_rank_is_reported_while_its_forked_child_runs(tmp_path: Path) -> None:
    """Example: a multiprocessing worker whose parent was killed."""
    code = """if True:
        import os, sys, time
        from mlpstorage_bench.process import stderr
        from mlpstorage_bench.launch.status_channel import StatusChannel
        stderr.duplicate()
        StatusChannel(None, sys.argv[1]).register(3)
        if os.fork() == 0:
            os.close(2)
            os.close(stderr.descriptor())
            time.sleep(40)
        os._exit(0)
    """
    status_reader = StatusReader(tmp_path, WORD)
    done = subprocess.run(
        [sys.executable, "-c", code, WORD], stderr=subprocess.PIPE, check=True, timeout=20
    )
    assert status_reader.strip_status_lines(done.stderr) == b""
    assert status_reader.exited_elsewhere() == [f"rank 3 on {os.uname().nodename}"]


def test_ranks_without_report_at_limit_are_named_with_hosts(
    tmp_path: Path,
) -> None:
    status_reader = StatusReader(tmp_path, WORD)
    StatusChannel(tmp_path, WORD).send("hosts", "h1 h1 h2 h2")
    assert status_reader.missing_at_limit() == [], "no limit is over"
    StatusChannel(tmp_path, WORD).report_limit(0)
    assert status_reader.strip_status_lines(f"{WORD} at-limit-2\n".encode()) == b""
    assert status_reader.missing_at_limit() == ["rank 1 on h1", "rank 3 on h2"]


def test_rank_that_the_abort_wakes_does_not_count_as_one_that_reported(tmp_path: Path) -> None:
    """Its own report may be lost: the signal that ends all ranks ended what held Python's lock."""
    status_reader = StatusReader(tmp_path, WORD)
    status_reader.strip_status_lines(
        f"{WORD} hosts h1 h2\n{WORD} at-limit-1\n{WORD} aborting 86 test_x took too long\n".encode()
    )
    StatusChannel(tmp_path, WORD).report_limit(0)
    aborted_ns = (tmp_path / "aborting").stat().st_mtime_ns
    os.utime(tmp_path / "at-limit-0", ns=(aborted_ns, aborted_ns + 1_000_000))
    assert status_reader.missing_at_limit() == ["rank 0 on h1"]
