from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.mlperf import check_closed, differences
from mlpstorage_bench.kvcache.config.profile_file import load_profile

ANOTHER_FILESYSTEM = Path("/proc")
"""Never the filesystem of a temporary directory."""


def refusal_message(user_set: Mapping[str, Any], cache_dir: Path, results_dir: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        check_closed(user_set, cache_dir, results_dir)
    return str(caught.value)


def test_free_settings_are_accepted_in_closed(tmp_path: Path) -> None:
    user_set = {"systemname": "s", "hosts": ["a", "b"], "num-processes": 8, "npernode": 4}
    check_closed(user_set, tmp_path / "not" / "yet", ANOTHER_FILESYSTEM)


def test_sanctioned_values_are_accepted_in_closed(tmp_path: Path) -> None:
    user_set = {"seed": 42, "trials": 3, "profile": "mlperf"}
    check_closed(user_set, tmp_path, ANOTHER_FILESYSTEM)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("seed", 43, "--mlps-seed (given: 43; accepted: 42)"),
        ("trials", 1, "--mlps-trials (given: 1; accepted: 3)"),
        ("profile", "quick", "--mlps-profile (given: quick; accepted: mlperf)"),
        (
            "set",
            ["duration=5", "seed=42"],
            "--mlps-set (given: duration=5, seed=42; accepted: nothing)",
        ),
    ],
)
def test_only_the_violated_setting_is_named(
    name: str, given: object, expected: str, tmp_path: Path
) -> None:
    message = refusal_message({name: given}, tmp_path, ANOTHER_FILESYSTEM)
    assert f"Not allowed: {expected}. Use" in message


def test_one_filesystem_for_cache_and_results_is_refused(tmp_path: Path) -> None:
    cache_dir, results_dir = tmp_path / "cache", tmp_path / "results"
    message = refusal_message({}, cache_dir, results_dir)
    assert f"one filesystem ({cache_dir}, {results_dir}; accepted: two" in message


def test_all_violations_are_reported_together(tmp_path: Path) -> None:
    user_set = {"set": ["duration=5"], "seed": 1, "trials": 1, "profile": "quick"}
    message = refusal_message(user_set, tmp_path, tmp_path)
    options = ("set", "seed", "trials", "profile", "cache-dir")
    assert [f"--mlps-{name}" in message for name in options] == [True] * len(options)


def parameters(workload: str, **changes: object) -> dict[str, object]:
    return {**load_profile("mlperf").workloads[workload].model_dump(), **changes}


@pytest.mark.parametrize("workload", ["1", "2", "3"])
def test_sanctioned_workload_differs_in_nothing(workload: str) -> None:
    same = parameters(workload, title="mine", calibration=0.0, read_back_gb=1.0)
    assert differences(workload, same, trials=3, seed=42) == []
    del same["promotion"]  # a parameter that earlier versions did not have
    assert differences(workload, same, trials=3, seed=None) == []


@pytest.mark.parametrize(
    ("changes", "trials", "seed", "expected"),
    [
        ({"duration": 6.0}, 1, 42, ["duration", "trials"]),
        ({"storage": "null"}, 3, 42, ["storage"]),
        ({"phase": "prefill", "verify_rate": 0.5}, 3, 7, ["phase", "verify_rate", "seed"]),
    ],
)
def test_whatever_differs_from_the_sanctioned_workload_is_named(
    changes: dict[str, object], trials: int, seed: int, expected: list[str]
) -> None:
    assert differences("1", parameters("1", **changes), trials=trials, seed=seed) == expected


def test_case_of_another_name_is_no_sanctioned_workload() -> None:
    assert differences("assistant", parameters("1"), trials=3, seed=42) == ["name"]
