"""Load of each side from the options of the study."""

from __future__ import annotations

import pytest

from benchmarks.interference.loads import (
    check_launches_its_own,
    check_prefixes,
    is_ranks,
    options_of,
    ranks_of,
)
from mlpstorage_bench.errors import InvalidInputError


def test_side_has_the_settings_of_its_type_after_those_of_the_study() -> None:
    settings = ["training.epochs=2", "kv_cache.duration=5", "training.train.scale=1"]
    assert options_of("training", [], settings) == [
        "--mlps-trials=1",
        "--mlps-set=training.epochs=4",
        "--mlps-set=training.scale=0.125",
        "--mlps-set=training.epochs=2",
        "--mlps-set=training.train.scale=1",
    ]


def test_named_profile_is_run_as_it_is() -> None:
    assert options_of("training", ["kv_cache.mlperf", "training.mlperf"], []) == [
        "--mlps-trials=1",
        "--mlps-profile=training.mlperf",
    ]


def test_checkpoints_are_as_many_as_the_load_has() -> None:
    assert options_of("checkpointing", [], ["checkpointing.num_checkpoints_write=3"]) == [
        "--mlps-set=checkpointing.num_checkpoints_write=6",
        "--mlps-set=checkpointing.scale=0.00955",
        "--mlps-set=checkpointing.num_checkpoints_write=3",
    ]


def test_value_without_a_type_is_refused() -> None:
    check_prefixes("--mlps-set", ["training.epochs=2"])
    with pytest.raises(InvalidInputError, match=r"kv_cache\.epochs=2 or training\.epochs=2"):
        check_prefixes("--mlps-set", ["epochs=2"])


def test_ranks_are_those_of_the_last_setting_of_the_type() -> None:
    settings = ["kv_cache.ranks=2", "training.ranks=3", "kv_cache.ranks=4"]
    assert [ranks_of(name, settings) for name in ("kv_cache", "training")] == [4, 3]
    assert ranks_of("checkpointing", settings) == 1


def test_ranks_are_settings_of_the_study_alone() -> None:
    settings = ["training.ranks=3", "training.epochs=2", "vdb.ranks=2", "ranks=1"]
    assert [one for one in settings if is_ranks(one)] == ["training.ranks=3"]


@pytest.mark.parametrize("number", ["", "0", "x", "-1", "5000", "1.5"])
def test_other_ranks_are_refused(number: str) -> None:
    with pytest.raises(InvalidInputError, match=r"kv_cache\.ranks=N with 1 to 4096 ranks"):
        ranks_of("kv_cache", [f"kv_cache.ranks={number}"])


def test_study_as_a_rank_of_a_launcher_is_refused() -> None:
    check_launches_its_own({})
    environ = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
    with pytest.raises(InvalidInputError, match=r"without a launcher, with --mlps-set kv_cache\.r"):
        check_launches_its_own(environ)
