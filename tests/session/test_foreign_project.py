"""Sessions of other projects with this plugin installed: unchanged until they use it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.mpis import MPIS
from tests.variants import first_of

RunRanks = Callable[..., pytest.RunResult]

WITHOUT = ("-p", "no:mlpstorage")
FOREIGN = """
    import os, sys
    import pytest

    RANK = os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", "0"))

    def test_passes(tmp_path):
        print(f"test on {RANK}")
        assert "mpi4py.MPI" not in sys.modules

    def test_fails_on_rank_1():
        print(f"printed on rank {RANK}")
        assert RANK != "1", "only here"

    @pytest.mark.skipif(RANK == "0", reason="not here")
    def test_skipped_on_rank_0():
        pass
"""
RANK_1_LAST = """
    import os, time
    from pathlib import Path

    DONE = Path(__file__).with_name("rank_0_is_done")

    def pytest_unconfigure():  # Open MPI ends the other ranks once one has failed
        if os.environ["OMPI_COMM_WORLD_RANK"] == "0":
            DONE.touch()
        ends = time.monotonic() + 60
        while not DONE.exists() and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(float(os.environ["OMPI_COMM_WORLD_RANK"]))
"""
LAUNCHERS = {
    "size of open mpi alone": {"OMPI_COMM_WORLD_SIZE": "4"},
    "open mpi": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"},
    "pmi": {"PMI_SIZE": "4", "PMI_RANK": "1"},
    "hydra": {"PMI_SIZE": "4", "PMI_RANK": "1", "MPI_LOCALNRANKS": "4", "MPI_LOCALRANKID": "1"},
    "srun": {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_ID": "7"},
}


def comparable(text: str) -> str:
    """Return output without times, IDs and temporary directories, which differ between runs."""
    text = re.sub(r"\d+\.\d+s( \([\d:]+\))?", "Ns", text)
    text = re.sub(r"={3,}", "===", text)  # their number depends on the times
    text = re.sub(r"plugins: .*", "plugins", text)
    text = re.sub(r"collecting \d+ items? *\n", "", text)  # printed where collection takes 0.5 s
    text = re.sub(r' (time|timestamp)="[^"]*"', "", text)
    return re.sub(r"pytest-\d+", "pytest-N", text)


def run_pytest(pytester: pytest.Pytester, *arguments: str) -> tuple[int, str, str, str]:
    """Run a session in a new process; return exit status, output, error output and junit XML."""
    junit = pytester.path / "junit.xml"
    junit.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-ra", f"--junitxml={junit}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    xml = junit.read_text() if junit.exists() else "none"
    return done.returncode, comparable(done.stdout), comparable(done.stderr), comparable(xml)


@pytest.mark.parametrize("variables", first_of(*LAUNCHERS.values()), ids=LAUNCHERS)
def test_session_with_launcher_variables_is_unchanged_by_the_plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(FOREIGN)
    assert run_pytest(pytester) == run_pytest(pytester, *WITHOUT)


def test_session_with_failing_conftest_is_unchanged_by_the_plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "1")
    pytester.makeconftest("raise ImportError('no such library')")
    assert run_pytest(pytester) == run_pytest(pytester, *WITHOUT)
    (pytester.path / "conftest.py").unlink()
    pytester.makepyfile("import nothing_of_that_name")
    assert run_pytest(pytester) == run_pytest(pytester, *WITHOUT)


@pytest.mark.parametrize("streams", first_of("2>&- >&- <&-", "2>&-", "2>&- <&-"))
@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_session_with_closed_streams_is_unchanged_by_the_plugin(
    pytester: pytest.Pytester, streams: str, capture: str
) -> None:
    """pytest's own faulthandler plugin needs a standard error."""
    pytester.makepyfile(
        """
        def test_passes(): open("passed", "w").close()
        def test_fails(): assert False
        """
    )
    done = []
    for without in ("", " ".join(WITHOUT)):
        line = f"{sys.executable} -m pytest -p no:faulthandler --capture={capture} {without}"
        ran = subprocess.run(
            ["/bin/sh", "-c", f"{line} {streams}"], stdout=subprocess.PIPE, check=False
        )
        has_run = (pytester.path / "passed").exists()
        (pytester.path / "passed").unlink(missing_ok=True)
        output = comparable(ran.stdout.decode())
        done.append((ran.returncode, has_run, output.splitlines()))
    assert done[0] == done[1]
    if streams == "2>&-":
        status, has_run, lines = done[0]
        assert (status, has_run) == (pytest.ExitCode.TESTS_FAILED, True)
        assert "1 failed, 1 passed in" in lines[-1]


@pytest.mark.launches_mpi
def test_ranks_of_a_foreign_project_do_not_join(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(FOREIGN)
    pytester.makeconftest(RANK_1_LAST)
    results = []
    for without in ((), WITHOUT):
        results.append(run_ranks(2, "-rA", *without))
        (pytester.path / "rank_0_is_done").unlink()
    lines = [sorted(comparable(result.stdout.str()).splitlines()) for result in results]
    assert lines[0] == lines[1]
    assert [result.ret for result in results] == [1, 1]
    assert "printed on rank 1" in results[0].stdout.str()
    for outcome in ("2 passed, 1 skipped in", "1 failed, 2 passed in"):
        assert outcome in results[0].stdout.str()


@pytest.mark.launches_mpi
def test_rank_of_a_foreign_project_that_ends_early_delays_no_other(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makeconftest(
        """
        import os, time

        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            time.sleep(3)  # Open MPI ends the other ranks after one has failed
            raise ImportError("no such library")
        """
    )
    pytester.makepyfile("def test_it(): pass")
    result = run_ranks(2)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "1 passed" in result.stdout.str()
    result.stderr.fnmatch_lines(["*ImportError: no such library"])


@pytest.mark.launches_mpi
@pytest.mark.parametrize(
    "given",
    first_of(
        pytest.param("def test_it(mpi_comm): pass", id="fixture"),
        pytest.param("@pytest.mark.mlps_scenario\ndef test_it(): pass", id="marker"),
    ),
)
def test_ranks_join_after_collection_for_a_test_that_uses_the_plugin(
    pytester: pytest.Pytester, run_ranks: RunRanks, given: str
) -> None:
    pytester.makeconftest("import sys\nassert 'mpi4py.MPI' not in sys.modules")
    pytester.makepyfile(
        f"""
        import os, sys
        import pytest

        {given.replace(chr(10), chr(10) + " " * 8)}

        def test_differs():
            assert os.environ["OMPI_COMM_WORLD_RANK"] == "0", "only on rank 1"
        """
    )
    result = run_ranks(2, "-rA", "--junitxml=junit.xml", "--benchmark-autosave")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = result.stdout.str()
    assert output.count("test session starts") == 2, "nothing is silenced before collection"
    assert output.count("mlpstorage: 2 ranks started by openmpi") == 1
    assert output.count("1 failed, 1 passed in") == 1
    assert "rank 1 on" in output
    assert (pytester.path / "junit.xml").read_text().count("<failure") == 1


@pytest.mark.launches_mpi
def test_ranks_of_mpich_join_after_collection(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    mpi = MPIS["mpich"]()
    for name, value in mpi.environment.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile("def test_it(mpi_comm): assert mpi_comm.allreduce(1) == 2")
    result = pytester.run(*mpi.by_hand(2), sys.executable, "-m", "pytest", timeout=60)
    assert result.ret == 0
    assert result.stdout.str().count("mlpstorage: 2 ranks started by hydra") == 1
    assert result.stdout.str().count("1 passed in") == 1


@pytest.mark.long
@pytest.mark.launches_mpi
def test_late_joining_ranks_agree_on_a_file_that_one_cannot_collect(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    pytester.makepyfile(
        """
        import os

        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            raise ImportError("no such library")

        def test_it(mpi_comm):
            pass
        """
    )
    result = run_ranks(2)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*did not collect the same tests*"])
    assert "no such library" in result.stderr.str()


@pytest.mark.launches_mpi
def test_deselected_tests_do_not_join_ranks(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_of_ours(mpi_comm): pass

        def test_other(): assert "mpi4py.MPI" not in sys.modules
        """
    )
    result = run_ranks(2, "-k", "other")
    assert result.ret == 0
    assert result.stdout.str().count("1 passed, 1 deselected") == 2


@pytest.mark.launches_mpi
@pytest.mark.parametrize(
    ("mode", "sessions", "size"), first_of(("off", 2, 1), ("on", 1, 2), ("auto", 1, 2))
)
def test_ini_decides_whether_ranks_join(
    pytester: pytest.Pytester, run_ranks: RunRanks, mode: str, sessions: int, size: int
) -> None:
    early = () if mode != "auto" else ("-o", "mlps_failure_grace=20")
    pytester.makepyfile(f"def test_it(request, mpi_comm): assert mpi_comm.size == {size}")
    result = run_ranks(2, "-o", f"mlps_mpi={mode}", *early)
    assert result.ret == 0
    assert result.stdout.str().count("test session starts") == sessions
    assert result.stdout.str().count("1 passed") == sessions


def test_unknown_ini_value_is_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-o", "mlps_mpi=yes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: mlps_mpi: got 'yes'; accepted: auto, on, off"])


def test_ini_off_with_options_for_ranks_is_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-o", "mlps_mpi=off", "--mlps-num-processes=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: mlps_mpi: got off, but the options ask for ranks*"])


@pytest.mark.parametrize(
    ("arguments", "joins"),
    [
        (["--mlps-grace=5"], True),
        pytest.param(["--exec-type=mpi"], True, marks=pytest.mark.long),
        pytest.param(["--hosts", "a,b"], True, marks=pytest.mark.long),
        (["--exec-type=mpi", "-o", "mlps_reference_aliases=false"], False),
        pytest.param(["-o", "mlps_startup_limit=50"], True, marks=pytest.mark.long),
        (["-o", "mlps_reference_aliases=false"], False),
        pytest.param([], False, marks=pytest.mark.long),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_ranks_join_before_conftests_with_an_option_of_the_plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], *, joins: bool
) -> None:
    """The size of MPI's communicator differs from the variables, which shows an early join."""
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")
    pytester.makeconftest("import sys\nprint('mpi4py' in sys.modules)\nraise OSError('conftest')")
    result = pytester.runpytest_subprocess(*arguments)
    text = result.stdout.str() + result.stderr.str()
    assert ("OSError: conftest" not in text) == joins, text


def test_option_of_another_plugin_does_not_join_ranks(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")
    pytester.makepyfile(theirs="def pytest_addoption(parser): parser.addoption('--hosts')")
    pytester.makepyfile("def test_it(request): assert request.config.getoption('hosts') == 'x'")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    result = pytester.runpytest_subprocess("-p", "theirs", "--hosts=x")
    assert result.ret == 0
    result.assert_outcomes(passed=1)


def test_fixture_requested_at_run_time_opens_a_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_comm(request):
            assert request.getfixturevalue("mpi_comm").size == 1
            assert request.getfixturevalue("cluster_info").num_hosts == 1

        def test_run(request):
            request.getfixturevalue("mlps_run")
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=0, failed=1)
    result.stdout.fnmatch_lines(
        ["*mlps_run: there is no run, because no collected test names this*"]
    )


def test_fixture_requested_at_run_time_in_a_rank_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")
    pytester.makepyfile("def test_comm(request): request.getfixturevalue('mpi_comm')")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*mpi_comm: the ranks have not joined*mlps_mpi = on*"])


def test_plugin_loaded_by_a_conftest_works(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("pytest_plugins = ['pytest_benchmark.plugin', 'mlpstorage_bench.plugin']")
    pytester.makepyfile("def test_comm(mpi_comm): assert mpi_comm.size == 1")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
