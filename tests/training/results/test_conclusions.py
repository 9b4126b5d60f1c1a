"""Sentences on trainings: what kept the accelerators busy, or did not."""

from __future__ import annotations

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.training.results.conclusions import conclusions

BUSY: Values = {"au_percentage": 98.2, "page_cache_share": 0.0}
WAITED: Values = {"au_percentage": 61.0, "page_cache_share": 0.0}


def said(metrics: Values, **parameters: object) -> list[str]:
    """Return the sentences on a training of unet3d with such metrics."""
    own = {"model": "unet3d", **parameters}
    return conclusions([CaseRecord("training", "train", 1, own, metrics=metrics)])


def test_busy_accelerators_are_the_storage_s_merit() -> None:
    (one,) = said(BUSY)
    assert one == (
        "Training train: the storage kept the accelerators busy, 98.2 % of the time "
        "(90 % are demanded)."
    )


def test_page_cache_is_named_beside_the_storage() -> None:
    (one,) = said({**BUSY, "page_cache_share": 0.5})
    assert "the storage and the page cache (50% of the bytes) kept" in one


def test_figures_of_a_cache_are_not_the_storage_s() -> None:
    (one,) = said({**BUSY, "page_cache_share": 0.8})
    assert one.startswith("Do not take the figures of training train for those of the storage")


@pytest.mark.parametrize(("share", "shown"), [(0.8, "80%"), (0.05, "5%")])
def test_share_of_a_cache_is_named_where_it_was_wanted(share: float, shown: str) -> None:
    (one,) = said({**BUSY, "page_cache_share": share}, io_mode="buffered")
    assert one == (
        f"Training train read through the page cache (io_mode=buffered), which had {shown} of the "
        "bytes, and the storage the rest. Accelerators were busy 98.2 % of the time (90 % are "
        "demanded)."
    )


def test_part_of_the_load_proves_nothing_of_the_whole_through_a_cache_either() -> None:
    cached: Values = {**BUSY, "page_cache_share": 0.5}
    assert said_with(cached, io_mode="buffered", scale=0.01).endswith(
        "and the storage the rest. Accelerators were busy 98.2 % of the time with 1 % of the "
        "model's load (scale=0.01). That does not show whether the storage keeps them busy with "
        "the whole load, of which 90 % are demanded."
    )


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"format": "npz"}, "as the library of format=npz does"),
        ({"format": "raw", "reader": "torch"}, "as PyTorch's loader does (reader=torch)"),
        ({"format": "raw", "reader": "model"}, "(io_mode=buffered)"),
    ],
)
def test_reason_why_reads_go_through_the_cache_is_the_one_that_there_is(
    parameters: dict[str, object], reason: str
) -> None:
    (one,) = said({**BUSY, "page_cache_share": 0.5}, io_mode="buffered", **parameters)
    assert f"read through the page cache{' ' if reason[0] == '(' else ', '}{reason}, which" in one


def test_waits_are_the_storage_s_where_a_cache_that_was_wanted_had_few_bytes() -> None:
    (one,) = said({**WAITED, "page_cache_share": 0.3}, io_mode="buffered")
    assert "waited for the storage" in one


def test_waiting_accelerators_name_what_they_waited_for() -> None:
    assert "waited for the storage" in said(WAITED)[0]
    assert "this host was the limit" in said({**WAITED, "limited_by": "harness"})[0]


def test_processors_that_are_short_do_not_rule_the_storage_out() -> None:
    (one,) = said({**WAITED, "limited_by": "harness", "processor_wait_share": 0.3})
    assert one == (
        "Training train: accelerators were busy 61.0 % of the time (90 % are demanded). Processors "
        "were short: lanes waited for one for 30% of their time. Whether the storage can do more "
        "is not known: run again while nothing else uses the processors, or use more hosts."
    )


def test_decoding_that_takes_this_host_s_time_is_not_blamed_on_the_storage() -> None:
    decoding: Values = {
        "au_percentage": 0.4,
        "limited_by": "harness",
        "storage_wait_share": 0.0175,
        "harness_time_share": 0.97,
    }
    (one,) = said(decoding, format="npz", io_mode="buffered")
    assert one == (
        "Training train: accelerators were busy 0.4 % of the time, and this host was the limit, "
        "not the storage: its work, such as decoding npz and checking it, took 97% of the "
        "readers' time, and waits for the storage 2%. Use more hosts, or format=raw, which "
        "nothing decodes."
    )
    (cached,) = said({**decoding, "page_cache_share": 0.6}, format="npz", io_mode="buffered")
    assert "this host was the limit, not the storage" in cached


@pytest.mark.parametrize("limit", ["not calibrated", "unknown"])
def test_limit_that_is_not_known_is_not_said_to_be_the_storage(limit: str) -> None:
    (one,) = said({**WAITED, "limited_by": limit}, reader="torch")
    assert one.startswith(
        "Training train: accelerators were busy 61.0 % of the time (90 % are demanded). What "
        "limited them is not known"
    )
    assert "reader=model" in one
    assert "reader=" not in said({**WAITED, "limited_by": limit})[0]


def test_late_computations_are_this_host_s_lack_and_not_the_storage_s() -> None:
    (one,) = said({"au_percentage": 64.5, "late_share": 0.32, "data_wait_share": 0.034})
    assert one == (
        "Training train: accelerators were busy 64.5 % of the time, and this host was the limit, "
        "not the storage: computations ended late by 32.0% of the time, and waited for data 3.4%. "
        "Use fewer ranks on a host, or more hosts."
    )
    late: Values = {"au_percentage": 64.5, "late_share": 0.32, "data_wait_share": 0.034}
    assert said({**late, "limited_by": "harness"}) == [one]
    assert (
        "waited for the storage" in said({**WAITED, "late_share": 0.1, "data_wait_share": 0.3})[0]
    )


def test_trainings_without_figures_say_nothing() -> None:
    assert said({}) == []


def said_with(metrics: Values, **parameters: object) -> str:
    """Return the sentence on a training of unet3d with b200, whose load is another."""
    given = {"model": "unet3d", "accelerator": "b200", **parameters}
    (one,) = conclusions([CaseRecord("training", "train", 1, given, metrics=metrics)])
    return one


def test_scaled_samples_are_a_part_of_the_load_and_prove_nothing_of_the_whole() -> None:
    assert said_with(BUSY, scale=0.01) == (
        "Training train: accelerators were busy 98.2 % of the time with 1 % of the model's load "
        "(scale=0.01). That does not show whether the storage keeps them busy with the whole load, "
        "of which 90 % are demanded."
    )


def test_longer_computations_are_a_part_of_the_load() -> None:
    assert "with 50 % of the model's load (computation_time=0.324)" in said_with(
        BUSY, computation_time=0.324
    )


def test_accelerators_that_wait_with_a_part_of_the_load_wait_for_the_storage() -> None:
    assert (
        "waited for the storage with 1.56 % of the model's load (scale=0.015625); they"
        in said_with(WAITED, scale=0.015625)
    )


def test_a_larger_load_is_named_beside_the_storage_s_merit() -> None:
    assert (
        "kept the accelerators busy with 200 % of the model's load (computation_time=0.081), 98.2 %"
        in said_with(BUSY, computation_time=0.081)
    )
    assert "more than 100 % of the model's load" in said_with(WAITED, computation_time=0)


def test_values_that_are_the_model_s_own_are_the_whole_load() -> None:
    same = {"scale": 1.0, "batch_size": 7, "computation_time": 0.162}
    assert said_with(BUSY, **same) == said(BUSY)[0]
    by_hand = {"accelerator": "mi355", "batch_size": 7, "computation_time": 0.2}
    assert said_with(BUSY, **by_hand) == said(BUSY)[0]
    assert "with 1 % of the model's load (scale=0.01)" in said_with(BUSY, **by_hand, scale=0.01)
