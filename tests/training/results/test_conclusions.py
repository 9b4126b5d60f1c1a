"""Sentences on trainings: what kept the accelerators busy, or did not."""

from __future__ import annotations

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


def test_share_of_a_cache_is_named_where_it_was_wanted() -> None:
    (one,) = said({**BUSY, "page_cache_share": 0.8}, io_mode="buffered")
    assert one == (
        "Training train read through the page cache, as io_mode=buffered asks: that had 80% of the "
        "bytes, and the storage the rest. Accelerators were busy 98.2 % of the time."
    )


def test_waiting_accelerators_name_what_they_waited_for() -> None:
    assert "waited for the storage" in said(WAITED)[0]
    assert "this host was the limit" in said({**WAITED, "limited_by": "harness"})[0]


def test_late_computations_are_this_host_s_lack_and_not_the_storage_s() -> None:
    (one,) = said({"au_percentage": 64.5, "late_share": 0.32, "data_wait_share": 0.034})
    assert one == (
        "Training train: accelerators were busy 64.5 % of the time, and this host was the limit, "
        "not the storage: computations ended late by 32.0% of the time, and waited for data 3.4%. "
        "Use fewer ranks on a host, or more hosts."
    )
    assert (
        "waited for the storage" in said({**WAITED, "late_share": 0.1, "data_wait_share": 0.3})[0]
    )


def test_trainings_without_figures_say_nothing() -> None:
    assert said({}) == []
