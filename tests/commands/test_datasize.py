"""`--mlps-datasize` leaves a run of its own: metadata and the pointer to the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.session.tiny import LONG

DATASIZE = ("--mlps-datasize=json", *LONG, "--mlps-systemname=array")


def leaves(pytester: pytest.Pytester) -> list[Path]:
    place = "results/open/local/results/array/kv_cache/llama3.1-8b/datasize"
    return sorted((pytester.path / place).iterdir())


def metadata_of(leaf: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((leaf / f"kv_cache_{leaf.name}_metadata.json").read_text())
    return content


@pytest.mark.long
@pytest.mark.starts_process
def test_datasize_leaves_metadata_and_pointer_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): raise AssertionError")
    printed = pytester.runpytest_subprocess(*DATASIZE, "--mlps-num-processes=2", "--mlps-hosts=a,b")
    assert printed.ret == 0
    (leaf,) = leaves(pytester)
    names = {".mlps-code-image", f"kv_cache_{leaf.name}_metadata.json"}
    assert {path.name for path in leaf.iterdir()} == names
    metadata = metadata_of(leaf)
    assert metadata["command"] == metadata["args"]["command"] == "datasize"
    assert metadata["run_datetime"] == leaf.name
    assert metadata["system_info"] is None
    assert (metadata["num_processes"], metadata["hosts"]) == (2, ["a", "b"])
    assert (metadata["exit_status"], metadata["mlpstorage"]["status"]) == (0, "passed")
    assert metadata["mlpstorage"]["datasize"] == json.loads(printed.stdout.str())
    assert not (pytester.path / "mlps-cache").exists()


@pytest.mark.long
@pytest.mark.starts_process
def test_two_datasize_runs_in_one_second_have_two_directories(pytester: pytest.Pytester) -> None:
    for _ in range(2):
        assert pytester.runpytest(*DATASIZE).ret == 0
    assert len(leaves(pytester)) == 2
    listed = pytester.runpytest("--mlps-history", "--mlps-results-dir=results")
    assert listed.stdout.str().count(" datasize ") == 2


@pytest.mark.starts_process
def test_datasize_that_does_not_fit_leaves_a_failed_run(pytester: pytest.Pytester) -> None:
    printed = pytester.runpytest(
        *("--mlps-datasize", *DATASIZE[1:], "--mlps-set=storage_capacity_gb=1e-6")
    )
    assert printed.ret == pytest.ExitCode.TESTS_FAILED
    (leaf,) = leaves(pytester)
    assert (metadata_of(leaf)["exit_status"], metadata_of(leaf)["mlpstorage"]["status"]) == (
        *(1, "failed"),
    )
    printed.stdout.fnmatch_lines([f"datasize run: {leaf}"])


@pytest.mark.starts_process
@pytest.mark.parametrize("capacity", [(), ("--mlps-set=storage_capacity_gb=1",)])
def test_path_of_no_storage_fits_nothing(
    pytester: pytest.Pytester, capacity: tuple[str, ...]
) -> None:
    missing = pytester.path / "array"
    where = ("--mlps-cache-dir", str(missing / "cache"), "--mlps-mode=whatif")
    printed = pytester.runpytest("--mlps-datasize", *DATASIZE[1:], *capacity, *where)
    assert printed.ret == pytest.ExitCode.TESTS_FAILED
    printed.stdout.fnmatch_lines(
        [f"workload 1: {missing} does not exist. Is the storage mounted? If it is, make the *"]
    )


@pytest.mark.long
@pytest.mark.starts_process
def test_datasize_in_mode_whatif_leaves_nothing(pytester: pytest.Pytester) -> None:
    assert pytester.runpytest(*DATASIZE, "--mlps-mode=whatif").ret == 0
    assert not (pytester.path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("--mlps-profile=mlperf", "--mlps-set=scale=0.01"),
            (
                "--mlps-set: got 'scale=0.01'; accepted: checkpointing.scale=0.01 or "
                "training.scale=0.01. This command is of one benchmark type, kv_cache unless a "
                "prefix names another"
            ),
        ),
        (
            ("--mlps-profile=training.mlperf", "--mlps-set=num_users=3"),
            "--mlps-set: got 'num_users=3'; accepted: kv_cache.num_users=3. This command *",
        ),
    ],
    ids=["of other types", "beside a prefix"],
)
def test_value_that_the_command_would_not_use_is_refused(
    pytester: pytest.Pytester, given: tuple[str, ...], message: str
) -> None:
    result = pytester.runpytest("--mlps-datasize", *given, "--mlps-cache-dir=cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])
