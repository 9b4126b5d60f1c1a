"""Interrupted sessions of one process: prompt, orderly end, and recorded status."""

from __future__ import annotations

import pytest

from tests.cluster.waiting import wait_until
from tests.session.tiny import TINY, metadata_of
from tests.variants import first_of

IN_A_LOCK = """
import os, signal, threading

enter = threading.Condition.__enter__

def interrupted(self):
    taken = enter(self)
    names, frame = [], os.sys._getframe(1)
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    is_in_window = {{"wait", "run_trial"}} < {{*names}} and "wait_or_raise" not in names
    if names[0] == "done" and is_in_window:
        threading.Condition.__enter__ = enter
        os.kill(os.getpid(), signal.{signal})
    return taken

def pytest_runtest_call():
    threading.Condition.__enter__ = interrupted
"""
"""Conftest that raises a signal while the trial's supervisor holds the lock of a lane's result."""


def test_interrupted_session_is_recorded_as_such(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_stops(mlps_run): raise KeyboardInterrupt")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert metadata_of(pytester)["mlpstorage"]["status"] == "interrupted"


@pytest.mark.parametrize("signal", first_of("SIGTERM", "SIGINT"))
def test_signal_while_the_supervisor_holds_a_lock_ends_the_window(
    pytester: pytest.Pytester, signal: str
) -> None:
    """An immediate KeyboardInterrupt would leave the lock acquired and block the lane's end."""
    pytester.makeconftest(IN_A_LOCK.format(signal=signal))
    pytester.makepyfile("def test_long(kvcache): kvcache.run(1, duration=300)")
    options = [option for option in TINY if "duration" not in option]
    result = pytester.run(
        *(pytester._getpytestargs()), *options, "--mlps-cache-dir=cache", timeout=60
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    own = metadata_of(pytester)["mlpstorage"]
    assert own["status"] == "interrupted"
    run_id = own["run_id"]
    result.stdout.fnmatch_lines(
        [
            "1 * interrupted: 0 of 2 trials measured",
            f"resume: pytest --mlps-results-dir=* --mlps-resume={run_id}",
            f"again:  pytest --mlps-results-dir=* --mlps-history-rerun={run_id}",
        ]
    )
    assert not (pytester.path / "cache").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("leaves", "status"),
    [("raise KeyboardInterrupt", pytest.ExitCode.INTERRUPTED), ("assert False", 1)],
)
def test_test_that_ends_before_its_benchmark_has_no_warning(
    pytester: pytest.Pytester, leaves: str, status: int
) -> None:
    """pytest-benchmark warns about an unused fixture, which may be an error by a user's filter."""
    pytester.makeini("[pytest]\nfilterwarnings = error")
    pytester.makepyfile(f"def test_stops(kvcache): {leaves}")
    result = pytester.runpytest_subprocess(*TINY)
    assert result.ret == status
    assert "was not used" not in result.stdout.str() + result.stderr.str()


INTERRUPTS_REMOVAL = """
import os, signal

unlink = os.unlink

def interrupted(path, *args, **kwargs):
    if str(path).endswith(".kv"):
        os.unlink = unlink
        os.kill(os.getpid(), signal.SIGINT)
    return unlink(path, *args, **kwargs)

def test_stops(kvcache):
    kvcache.run(1)
    os.unlink = interrupted
    {leaves}
"""


@pytest.mark.parametrize("leaves", first_of("raise KeyboardInterrupt", "pass"))
def test_interrupt_while_cache_files_are_removed_leaves_them_to_the_helper_process(
    pytester: pytest.Pytester, leaves: str
) -> None:
    pytester.makepyfile(INTERRUPTS_REMOVAL.format(leaves=leaves))
    result = pytester.run(*pytester._getpytestargs(), *TINY, "--mlps-cache-dir=cache", timeout=60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    directory = pytester.path / "cache" / "rank_0"
    result.stderr.fnmatch_lines(
        [f"mlpstorage: interrupted: a helper process removes the files left in {directory}"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    content = metadata_of(pytester)["mlpstorage"]
    assert (content["status"], content["exit_status"]) == ("interrupted", 2)
    assert "interrupted while cache files were removed" in content["notes"]
    wait_until(lambda: not directory.exists())


INTERRUPTS_END = """
import os, signal
from mlpstorage_bench.session import finish

def interrupt(*args):
    os.kill(os.getpid(), signal.SIGINT)

{place}
"""


@pytest.mark.parametrize(
    "place",
    first_of("finish.enter_run = interrupt", "pytest_terminal_summary = interrupt"),
    ids=["results", "summary"],
)
def test_interrupt_at_the_session_end_is_one_sentence(
    pytester: pytest.Pytester, place: str
) -> None:
    pytester.makeconftest(INTERRUPTS_END.format(place=place))
    pytester.makepyfile("def test_passes(mlps_run): pass")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stderr.fnmatch_lines(["Exit: interrupted at the session's end"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    content = metadata_of(pytester)["mlpstorage"]
    assert (content["status"], content["exit_status"]) == ("interrupted", 2)
    assert "the session's end was interrupted" in content["notes"]
