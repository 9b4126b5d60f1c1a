"""Plans of training: what the user set, in the reference's words."""

from __future__ import annotations

from mlpstorage_bench.training.config.profile_file import load_profile
from mlpstorage_bench.training.plan import TrainingPlan

OF_QUICK = {"train.epochs": 2, "train.total_training_steps": 15, "mlpstorage.scale": 1 / 64}
"""Parameters in which the profile differs from its model."""


def plan(*overrides: tuple[str, str], name: str = "quick") -> TrainingPlan:
    profile = load_profile(name, overrides)
    return TrainingPlan("training", "open", profile, overrides, {}, "/mnt/cache")


def test_settings_have_one_name_that_of_the_reference() -> None:
    found = plan(("read_threads", "8"), ("workloads.train.scale", "0.5"))
    own = {"reader.read_threads": "8", "mlpstorage.scale": "0.5"}
    assert found.override_parameters() == {**OF_QUICK, **own}
    assert found.arguments()["params"] == ["reader.read_threads=8", "mlpstorage.scale=0.5"]


def test_arguments_of_the_reference_are_no_parameters() -> None:
    given = (("model", "retinanet"), ("accelerator", "mi355"), ("client_host_memory_in_gb", "4"))
    found = plan(*given)
    assert (found.override_parameters(), found.arguments()["params"]) == (OF_QUICK, "")
    assert found.arguments()["accelerator_type"] == "mi355"


def test_the_profile_of_mlperf_changes_nothing() -> None:
    assert plan(name="mlperf").override_parameters() == {}
    other = (("model", "retinanet"), ("accelerator", "mi355"))
    assert plan(*other, name="mlperf").override_parameters() == {}


def test_values_are_those_of_the_reference() -> None:
    given = (
        ("io_chunk_kib", "64"),
        ("reader", "torch"),
        ("format", "raw"),
        ("io_mode", "buffered"),
    )
    assert plan(*given, name="mlperf").override_parameters() == {
        "reader.transfer_size": 65536,
        "reader.data_loader": "pytorch",
        "mlpstorage.format": "raw",
        "reader.odirect": False,
    }
