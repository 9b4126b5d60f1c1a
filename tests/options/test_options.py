"""Options: help texts, accepted values, settings, and aliases of the reference implementation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history import past_run
from mlpstorage_bench.options import of_history
from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.option import WholeNumber, duration
from mlpstorage_bench.options.settings import Settings, read_settings


def settings(environ: dict[str, str] | None = None, **given: Any) -> Settings:
    names = {option.dest: None for option in OPTIONS}
    return read_settings(argparse.Namespace(**{**names, **given}), environ or {})


def test_settings_hold_user_options_apart_from_defaults() -> None:
    result = settings(mlps_seed=7, mlps_oversubscribe=True)
    assert dict(result.user_set) == {"seed": 7, "oversubscribe": True}
    assert (result.seed, result.trials, result.profile, result.mode) == (7, None, "quick", "open")


def test_closed_mode_selects_the_sanctioned_profile() -> None:
    assert settings(mlps_mode="closed").profile == "mlperf"


def test_ranks_are_started_for_hosts_or_a_number_of_ranks_unless_local() -> None:
    assert not settings().wants_ranks
    assert settings(mlps_hosts=["h1"]).wants_ranks
    assert settings(mlps_num_processes=2).wants_ranks
    assert settings(mlps_npernode=2).wants_ranks
    assert not settings(mlps_num_processes=2, mlps_exec_type="local").wants_ranks


def test_environment_sets_results_directory_and_system_unless_an_option_does() -> None:
    environ = {"MLPERF_RESULTS_DIR": "/r", "MLPERF_SYSTEMNAME": "array-9"}
    result = settings(environ)
    assert (result.results_dir, result.systemname) == (Path("/r"), "array-9")
    result = settings(environ, mlps_results_dir="/other", mlps_systemname="mine")
    assert (result.results_dir, result.systemname) == (Path("/other"), "mine")


def test_mpi_params_are_split_like_shell_words() -> None:
    result = settings(mlps_mpi_params=["--mca btl tcp,self", "-x 'A B'"])
    assert result.launch_flags.extra == ("--mca", "btl", "tcp,self", "-x", "A B")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mlps_mpi_params": ["'open"]}, r"--mlps-mpi-params: got \"'open\""),
        ({"mlps_mpi_params": ["-x A='hush"]}, r"--mlps-mpi-params: got '-x A=\*\*\*'; accepted"),
        ({"mlps_set": ["duration"]}, "--mlps-set: got 'duration'; accepted: KEY=VALUE"),
        ({"mlps_orgname": "../x"}, "--mlps-orgname: got '../x'"),
        ({"mlps_orgname": ".."}, "--mlps-orgname: got '..'"),
        ({"mlps_systemname": "a b"}, "--mlps-systemname: got 'a b'"),
        ({"mlps_report": ["x.pdf"]}, "--mlps-report: .*accepted: a file name in .md or .html"),
        ({"mlps_report": ["/nowhere/x.md"]}, "a file in a directory that exists"),
        ({"mlps_hosts": ["a:b"]}, "--mlps-hosts: got 'a:b'"),
    ],
)
def test_unusable_value_is_refused_with_the_name_of_its_option(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        settings(**given)


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), (" 7 ", 7), ("+9", 9), ("10", 10), ("007", 7)]
)
def test_whole_number_is_parsed(text: str, value: int) -> None:
    assert WholeNumber(1, 10)(text) == value


@pytest.mark.parametrize(
    "text", ["0", "11", "1.0", "1e1", "", "x", "9" * 5000, "1_0", "\u0661", "-1", "NaN", "0x1"]
)
def test_other_text_than_a_whole_number_within_limits_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="accepted: a whole number from 1 to 10"):
        WholeNumber(1, 10)(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e10", "1e400", "x", "", "9" * 500])
def test_time_that_no_clock_can_hold_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above 0, at most 31536000"):
        duration(text)
    if text != "0":
        with pytest.raises(InvalidInputError, match="mlps_failure_grace: got"):
            read_settings(argparse.Namespace(), {}, text)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"mlps_cache_dir": "loop/x"}, "--mlps-cache-dir"),
        ({"mlps_results_dir": "loop"}, "--mlps-results-dir"),
        ({"mlps_report": ["loop/x.md"]}, "--mlps-report"),
        ({"mlps_report": [f"{'x' * 300}/x.md"]}, "--mlps-report"),
        ({"mlps_hosts": ["@loop"]}, "--mlps-hosts"),
        ({"mlps_cache_dir": "nul\0"}, "--mlps-cache-dir"),
    ],
)
def test_path_that_cannot_be_looked_up_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(InvalidInputError, match=f"^{option}: got .*(links|too long|null)"):
        settings(**given)


def test_unsafe_system_name_in_the_environment_is_refused_with_the_variable() -> None:
    with pytest.raises(InvalidInputError, match="MLPERF_SYSTEMNAME: got 'a/b'"):
        settings({"MLPERF_SYSTEMNAME": "a/b"})


def test_help_has_one_group_that_explains_every_option(
    pytester: pytest.Pytester,
) -> None:
    result = pytester.runpytest("--help")
    text = result.stdout.str()
    assert text.count("\nmlpstorage:") == 1
    for option in OPTIONS:
        assert option.flag in text
        assert len(option.help) > 25


REFUSED = [
    (["--mlps-hosts=a:x"], "--mlps-hosts: got 'a:x'; accepted: NAME, NAME:SLOTS"),
    (["--mlps-hosts=h:1", "--mlps-num-processes=4"], "--mlps-hosts: got 'h:1'; accepted: slots"),
    (["--mlps-hosts=a,b", "--mlps-num-processes=3"], "--mlps-num-processes: got 3; accepted: a mu"),
    (["--mlps-mode=cloesd"], "argument --mlps-mode: invalid choice: 'cloesd' (choose from"),
    (["--mlps-exec-type=ssh"], "argument --mlps-exec-type: invalid choice: 'ssh' (choose from"),
    (["--mlps-trials=0"], "argument --mlps-trials: got '0'; accepted: a whole number from 1"),
    (["--mlps-seed=-1"], "argument --mlps-seed: got '-1'; accepted: a whole number from 0"),
    (["--mlps-timeout=1e10"], "--mlps-timeout: got '1e10'; accepted: a number of seconds above 0"),
    (["--mlps-set=warmup=1.0e+300"], "warmup: Input should be less than or equal to 604800"),
    (["--mlps-cache-dir", "x" * 300], "--mlps-cache-dir: got"),
    (
        ["-o", "mlps_startup_limit=1e300", "--mlps-num-processes=2"],
        "mlps_startup_limit: got '1e300'; accepted: a number of seconds from 0",
    ),
    (["--mlps-datasize", "--mlps-results-dir", "x" * 300], "--mlps-results-dir: got"),
    (["--mlps-history", "--mlps-results-dir", "x" * 300], "--mlps-results-dir: got"),
    (["--mlps-profile=quik"], "--mlps-profile: got 'quik'; accepted: mlperf, quick"),
    (["--mlps-profile=quik"], "Did you mean 'quick'?"),
    (["--mlps-set=duratoin=5"], "--mlps-set: got 'duratoin'"),
    (["--mlps-set=duratoin=5"], "Did you mean 'duration'?"),
    (["--mlps-set=workloads.1.num_user=5"], "Did you mean 'num_users'?"),
    (["--mlps-set=duration=long"], "--mlps-set: got 'duration=long'"),
    (["--mlps-mode=closed", "--mlps-trials=1"], "--mlps-trials (given: 1; accepted: 3)"),
    (["--mlps-num-processes=2", "--mlps-mpi-bin=no-mpirun"], "--mlps-mpi-bin: no executable"),
    (["--mlps-exec-type=local", "--mlps-hosts=elsewhere"], "the hosts of the ranks"),
    (["--mlps-exec-type=local", "--mlps-num-processes=2"], "--mlps-num-processes: got 2; accepte"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_invalid_input_is_a_usage_error_before_any_test_runs(
    pytester: pytest.Pytester, arguments: list[str], message: str
) -> None:
    pytester.makepyfile("def test_something(): raise AssertionError")
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert "1 failed" not in result.stdout.str()


@pytest.mark.parametrize("directory", ["/usr/lib/cache", "/proc/cache", "/", "/etc"])
def test_system_directory_is_refused_as_cache_directory(
    pytester: pytest.Pytester, directory: str
) -> None:
    pytester.makepyfile("def test_something(mlps_run): pass")
    result = pytester.runpytest(f"--mlps-cache-dir={directory}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --mlps-cache-dir: got '{directory}'* is a system directory: *"]
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ["--hosts", "localhost:3,other"],
        ["--hosts=localhost:3", "--hosts=other"],
        ["--mlps-hosts", "localhost:3,other"],
    ],
)
def test_reference_name_equals_its_option(pytester: pytest.Pytester, arguments: list[str]) -> None:
    pytester.makepyfile("def test_something(): raise AssertionError")
    result = pytester.runpytest(*arguments, "--exec-type=mpi", "--npernode=3", "--mlps-mode=whatif")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["command: *-n 6 -host localhost:3,other:3 *"])


def test_option_of_another_plugin_keeps_its_name(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--hosts", default="theirs")
        """
    )
    pytester.makepyfile(
        """
        def test_both(pytestconfig):
            assert pytestconfig.getoption("--hosts") == "ssh://q"
            assert pytestconfig.getoption("--mlps-hosts") == ["localhost"]
        """
    )
    result = pytester.runpytest(
        "--hosts=ssh://q", "--mlps-hosts=localhost", "--mlps-exec-type=local"
    )
    result.assert_outcomes(passed=1)


def test_ini_setting_turns_reference_names_off(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmlps_reference_aliases = false")
    result = pytester.runpytest("--npernode=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --npernode=1"])


def test_statuses_to_filter_by_are_those_of_the_history() -> None:
    assert of_history.STATUSES == past_run.STATUSES
