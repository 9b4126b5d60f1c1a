"""Plans of training: what the user set, in the reference's words."""

from __future__ import annotations

from mlpstorage_bench.training.config.profile_file import load_profile
from mlpstorage_bench.training.plan import TrainingPlan


def plan(*overrides: tuple[str, str]) -> TrainingPlan:
    profile = load_profile("quick", overrides)
    return TrainingPlan("training", "open", profile, overrides, {}, "/mnt/cache")


def test_settings_have_one_name_that_of_the_reference() -> None:
    found = plan(("read_threads", "8"), ("workloads.train.scale", "0.5"))
    assert found.override_parameters() == {"reader.read_threads": "8", "mlpstorage.scale": "0.5"}
    assert found.arguments()["params"] == ["reader.read_threads=8", "mlpstorage.scale=0.5"]


def test_arguments_of_the_reference_are_no_parameters() -> None:
    given = (("model", "retinanet"), ("accelerator", "mi355"), ("client_host_memory_in_gb", "4"))
    found = plan(*given)
    assert (found.override_parameters(), found.arguments()["params"]) == ({}, "")
    assert found.arguments()["accelerator_type"] == "mi355"
