"""Synonyms of a profile's keys: former names, MLPerf's names and short names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from tests.kvcache.config.test_profile_file import PROFILE, write_profile


def test_users_per_rank_is_a_synonym_of_num_users(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    own = "name: own\nmodel: tiny-1b\nduration: 1\nusers_per_rank: 7\n"
    path.write_text(own + "workloads: {1: {}, 2: {users_per_rank: 8}}")
    profile = load_profile(str(path), [("workloads.1.users_per_rank", "9")])
    assert [workload.num_users for workload in profile.workloads.values()] == [9, 8]
    path.write_text(own + "num_users: 7\nworkloads: {1: {}}")
    with pytest.raises(InvalidInputError, match=r"got 'users_per_rank and num_users'; .*not both"):
        load_profile(str(path), [])


def test_options_is_a_former_name_of_workloads(tmp_path: Path) -> None:
    own = PROFILE + "delay_between_workloads: 3\n"
    former = own.replace("workloads", "options")
    assert former != own
    overrides = [("workloads.chat.duration", "5")]
    profile = load_profile(write_profile(tmp_path, own), overrides)
    assert load_profile(write_profile(tmp_path, former), overrides) == profile
    assert (profile.workloads["chat"].duration, profile.delay_between_workloads) == (5, 3)


def test_override_with_the_former_name_equals_one_with_the_new_name() -> None:
    new, former = (
        [(f"{key}.1.duration", "5"), (f"delay_between_{key}", "1")]
        for key in ("workloads", "options")
    )
    assert load_profile("mlperf", former) == load_profile("mlperf", new)


def test_last_override_applies_whichever_name_it_has() -> None:
    overrides = [("options.1.duration", "5"), ("workloads.1.duration", "6"), ("lanes", "2")]
    workload = load_profile("mlperf", [*overrides, ("workloads.1.lanes", "3")]).workloads["1"]
    assert (workload.duration, workload.max_concurrent_allocs) == (6, 3)


@pytest.mark.parametrize(
    ("key", "former"),
    [("workloads", "options: {}"), ("delay_between_workloads", "delay_between_options: 1")],
)
def test_profile_with_a_former_and_a_new_name_is_refused(
    tmp_path: Path, key: str, former: str
) -> None:
    text = f"{PROFILE}delay_between_workloads: 3\n{former}\n"
    with pytest.raises(InvalidInputError, match="not both") as raised:
        load_profile(write_profile(tmp_path, text))
    name = former.partition(":")[0]
    assert f"--mlps-profile {tmp_path}" in str(raised.value)
    assert f"got '{key} and {name}'" in str(raised.value)


def test_lanes_is_a_synonym_of_max_concurrent_allocs(tmp_path: Path) -> None:
    text = PROFILE.replace("num_users: 50", "num_users: 50, lanes: 3")
    profile = load_profile(write_profile(tmp_path, f"{text}lanes: 5\n"))
    assert [one.max_concurrent_allocs for one in profile.workloads.values()] == [3, 5]
    profile = load_profile("quick", [("lanes", "7"), ("workloads.1.lanes", "8")])
    assert [one.max_concurrent_allocs for one in profile.workloads.values()] == [8, 7, 7]
    both = text.replace("lanes: 3", "lanes: 3, max_concurrent_allocs: 3")
    with pytest.raises(InvalidInputError, match="chat: got 'lanes and max_concurrent_allocs'"):
        load_profile(write_profile(tmp_path, both))


@pytest.mark.parametrize("path", ["lane", "workloads.1.lane", "options.1.lane"])
def test_misspelt_synonym_gets_a_hint(path: str) -> None:
    with pytest.raises(InvalidInputError, match=f"got '{path}'; .*Did you mean 'lanes'"):
        load_profile("quick", [(path, "2")])


@pytest.mark.parametrize("path", ["workloads", "options", "name", "comparable"])
def test_key_that_the_command_line_cannot_set_is_refused(path: str) -> None:
    with pytest.raises(InvalidInputError, match=f"got '{path}'"):
        load_profile("quick", [(path, "{}")])


def test_override_of_an_unknown_workload_names_those_of_the_profile() -> None:
    with pytest.raises(InvalidInputError, match="accepted: workloads of this profile: 1, 2, 3"):
        load_profile("quick", [("workloads.4.duration", "2")])
