"""Errors that explain themselves show the user's lines, and none of this package's."""

from __future__ import annotations

import pytest

from tests.session.tiny import TINY

TOO_SMALL = "kvcache.run(1, storage_capacity_gb=0.0001)"


@pytest.mark.parametrize(
    "call",
    [
        TOO_SMALL,
        "kvcache.run(1, lanes='many')",
        "kvcache.run(1, phase='decode', write_limit_gb=0.0001)",
        "kvcache.run('no such')",
        "kvcache.run(1, rate=5.0)",
        "mlps_run.record('x', float('nan'))",
    ],
)
def test_user_error_has_no_traceback_of_this_package(pytester: pytest.Pytester, call: str) -> None:
    pytester.makepyfile(test_it=f"def test_run(kvcache, mlps_run):\n    {call}\n")
    result = pytester.runpytest(*TINY)
    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    reason, place = shown.index("E   "), shown.index(f"    {call}\n")
    assert reason < place, "the reason comes first"
    for hidden in (
        "kvcache/fixture.py",
        "pytest_benchmark/",
        "engine.py",
        "contextlib.py",
        "direct cause",
    ):
        assert hidden not in shown
    result.stdout.re_match_lines([r"_+ test_run _+$", r"E   \w+Error: ", r"test_\w+\.py:2: in "])
    result.stdout.re_match_lines([r"FAILED .*::test_run - \w+Error: \w+"])


def test_chosen_form_of_tracebacks_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"def test_run(kvcache):\n    {TOO_SMALL}\n")
    shown = pytester.runpytest(*TINY, "--tb=long").stdout.str()
    assert shown.index(f">       {TOO_SMALL}") < shown.index("E       ")
    assert "kvcache/fixture.py" not in shown


def test_full_trace_has_every_frame(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"def test_run(kvcache):\n    {TOO_SMALL}\n")
    shown = pytester.runpytest(*TINY, "--full-trace").stdout.str()
    assert "kvcache/fixture.py" in shown
    assert "engine.py" in shown


def test_other_errors_keep_their_traceback(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache):\n    kvcache.run([].pop())\n")
    pytester.runpytest(*TINY).stdout.fnmatch_lines(["E*IndexError*"])


def test_entry_that_does_not_fit_has_the_right_advice(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"def test_run(kvcache):\n    {TOO_SMALL}\n")
    result = pytester.runpytest(*TINY)
    result.stdout.fnmatch_lines(
        ["E*does not fit a capacity of 0.0001*Raise storage_capacity_gb to 0.0* or more*"]
    )
    assert "Lower storage_capacity_gb" not in result.stdout.str()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["benchmark(len, '')", "benchmark.pedantic(len, [''])"])
@pytest.mark.parametrize("options", [(), ("--benchmark-disable",)], ids=["timed", "disabled"])
def test_function_measured_beside_kvcache_is_refused(
    pytester: pytest.Pytester, call: str, options: tuple[str, ...], *, is_after: bool
) -> None:
    lines = [call, "kvcache.run(1)"]
    body = "\n    ".join(reversed(lines) if is_after else lines)
    pytester.makepyfile(f"def test_both(benchmark, kvcache):\n    {body}\n")
    result = pytester.runpytest(*TINY, "--mlps-set=storage=null", *options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*benchmark: got*a function, in a test with the argument kvcache*test of its own*"]
    )


@pytest.mark.slow
def test_function_measured_beside_another_type_names_its_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_both(benchmark, checkpointing):\n    benchmark(len, '')\n")
    result = pytester.runpytest("--mlps-cache-dir=cache")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*a function, in a test with the argument checkpointing*accepted: checkpointing.run, *"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["training", "checkpointing"])
def test_objective_at_a_test_of_another_type_names_the_fixture_that_has_them(
    pytester: pytest.Pytester, fixture: str
) -> None:
    pytester.makepyfile(
        test_it=f"""
import pytest

def test_plain(): pass

@pytest.mark.mlps_slo("read", p95_ms=10)
def test_run({fixture}): raise AssertionError("it has run")
"""
    )
    for options in ((), ("--mlps-cache-dir=cache",)):
        result = pytester.runpytest(*options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                (
                    "*@pytest.mark.mlps_slo: got 'test_it.py::test_run'; accepted: tests with the "
                    "fixture kvcache. Compare a figure of the result in the test instead*"
                )
            ]
        )
    assert not (pytester.path / "cache").exists()


@pytest.mark.parametrize("argument", ["", "mlps_run"])
def test_objective_at_a_test_that_measures_nothing_is_refused(
    pytester: pytest.Pytester, argument: str
) -> None:
    pytester.makepyfile(
        test_it=f"""
import pytest

@pytest.mark.mlps_slo("read", p95_ms=10)
def test_run({argument}): raise AssertionError("it has run")
"""
    )
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            (
                "*@pytest.mark.mlps_slo: got 'test_it.py::test_run'; accepted: tests with the "
                "fixture kvcache. This test measures nothing,*in usefixtures: kvcache"
            )
        ]
    )


@pytest.mark.slow
def test_objective_of_a_module_may_be_beside_tests_that_measure_nothing(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
import pytest

pytestmark = pytest.mark.mlps_slo("batch", p95_ms=1)

def test_of_the_module(): pass
"""
    )
    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.slow
def test_values_that_no_training_or_checkpoint_can_have_are_named(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
def test_train(training): training.run(1)
def test_write(checkpointing): checkpointing.run(1)
def test_accelerator(training): training.run("train", accelerator="mi355")
def test_number(checkpointing): checkpointing.run("write", num_checkpoints_read=9)
"""
    )
    result = pytester.runpytest("--mlps-cache-dir=cache")
    result.assert_outcomes(failed=4)
    error = "E   InvalidInputError: "
    result.stdout.fnmatch_lines_random(
        [
            f"{error}training.run: workload: got 1; accepted: trainings of profile *",
            f"{error}checkpointing.run: got 1; accepted: write or read",
            f"{error}training.run: got {{'accelerator': 'mi355'}}; accepted: unet3d has no times *",
            (
                f"{error}checkpointing.run: got 'num_checkpoints_read=9'; accepted: *"
                "--mlps-set checkpointing.num_checkpoints_read=9"
            ),
        ]
    )
