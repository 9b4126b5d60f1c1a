"""Closed trainings: what may vary, and what makes a run differ from the sanctioned one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.plan import PlanRequest
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.training.config import mlperf
from mlpstorage_bench.training.config.profile_file import load_profile


def request(
    *overrides: tuple[str, str],
    profile: str = "mlperf",
    seed: int | None = None,
    trials: int | None = None,
) -> PlanRequest:
    return PlanRequest(profile, "closed", overrides, seed, trials, Path("/data"), {})


def differences(*overrides: tuple[str, str]) -> list[str]:
    workload = load_profile("mlperf", overrides).workloads["train"]
    return mlperf.differences(workload.model_dump(), 42)


def test_closed_accepts_what_the_rules_leave_to_the_submitter() -> None:
    mlperf.check_closed(request(("read_threads", "16"), ("workloads.train.io_mode", "direct")))
    mlperf.check_closed(request(seed=42, trials=5))


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (request(("epochs", "1")), "epochs=1"),
        (request(profile="quick"), "--mlps-profile"),
        (request(seed=1), "--mlps-seed"),
        (request(trials=2), "--mlps-trials"),
    ],
)
def test_closed_refuses_everything_else_and_names_it(asked: PlanRequest, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        mlperf.check_closed(asked)


@pytest.mark.parametrize("model", ["flux", "dlrm"])
def test_closed_has_no_other_models(model: str) -> None:
    with pytest.raises(InvalidInputError, match="unet3d or retinanet"):
        mlperf.check_sanctioned(load_profile("mlperf", [("model", model)]))


def test_a_tuned_training_does_not_differ() -> None:
    assert differences(("model", "retinanet"), ("read_threads", "100")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", "0.5"),
        ("steps", "9"),
        ("computation_time", "0.1"),
        ("model", "flux"),
        ("accelerator", "h100"),
    ],
)
def test_changes_of_the_load_differ(name: str, value: str) -> None:
    assert name in differences((name, value))
