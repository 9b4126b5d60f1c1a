"""Profiles of checkpointing: those of the package, settings, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.benchmark_type.plan import PlanRequest
from mlpstorage_bench.checkpointing.config import mlperf
from mlpstorage_bench.checkpointing.config.profile_file import load_profile, shipped_profiles
from mlpstorage_bench.checkpointing.model.shares import checkpoint_bytes
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.units import GIB


@pytest.mark.parametrize("name", shipped_profiles())
def test_profiles_of_the_package_are_valid(name: str) -> None:
    assert load_profile(name).name == name


def test_mlperf_writes_and_reads_ten_durable_checkpoints() -> None:
    parameters = load_profile("mlperf").parameters
    assert (parameters.checkpoints("write"), parameters.checkpoints("read")) == (10, 10)
    assert parameters.durability == "fsync"
    assert parameters.time_between_checkpoints == 5
    assert mlperf.differences(parameters.model_dump(), ranks=8) == []


def test_quick_moves_two_gibibytes_in_all() -> None:
    profile = load_profile("quick")
    checkpoints = profile.num_checkpoints_write + profile.num_checkpoints_read
    whole = checkpoints * checkpoint_bytes(profile.trained, profile.scale)
    assert whole / GIB == pytest.approx(2, rel=1e-3)
    assert mlperf.differences(profile.parameters.model_dump()) == [
        "num_checkpoints_write",
        "num_checkpoints_read",
        "time_between_checkpoints",
        "scale",
    ]


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("model=llama3-70b", "llama3-70b"),
        ("phase=read", "read"),
        ("num_checkpoints_read=3", 3),
        ("fsync=false", False),
        ("io_mode=buffered", "buffered"),
        ("call_out=sync; echo 3", "sync; echo 3"),
        ("asynchronous=true", True),
    ],
)
def test_settings_change_the_profile(assignment: str, value: object) -> None:
    key, _, text = assignment.partition("=")
    assert getattr(load_profile("mlperf", [(key, text)]), key) == value


def test_trials_are_checkpoints_of_both_kinds() -> None:
    parameters = load_profile("mlperf", trials=3).parameters
    assert (parameters.num_checkpoints_write, parameters.num_checkpoints_read) == (3, 3)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("modle", "llama3-8b", "Did you mean 'model'"),
        ("name", "other", "one of accelerator"),
        ("model", "llama2", "should be 'llama3-8b'"),
        ("num_checkpoints_read", "11", "more than the 10 that are written"),
        ("files_per_rank", "2", "only the writer dcp"),
        ("scale", "2", "less than or equal to 1"),
        ("phase", "[", "a YAML value"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_profile("mlperf", [(key, value)])


def test_errors_of_a_file_name_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nmodel: llama3-8b\nfsync: 1\nscael: 0.1\n")
    with pytest.raises(InvalidInputError) as raised:
        load_profile(str(path))
    assert "line 3, fsync" in str(raised.value)
    assert "line 4, scael: unknown key. Did you mean 'scale'" in str(raised.value)


def test_a_missing_profile_is_refused_with_the_names_of_others() -> None:
    with pytest.raises(InvalidInputError, match=r"mlperf, quick, or the path of a YAML file"):
        load_profile("quik")


@pytest.mark.parametrize(
    ("ranks", "subset", "sharers"), [(64, "false", 64), (128, "false", 128), (8, "true", 64)]
)
def test_a_model_is_divided_over_the_ranks_or_those_of_the_rules(
    ranks: int, subset: str, sharers: int
) -> None:
    settings = [("model", "llama3-70b"), ("subset", subset)]
    assert load_profile("mlperf", settings).sharers(ranks) == sharers


def test_a_subset_of_all_ranks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="fewer ranks than the 8"):
        load_profile("mlperf", [("subset", "true")]).sharers(8)


def closed(*overrides: tuple[str, str], profile: str = "mlperf", trials: int | None = None) -> None:
    mlperf.check_closed(PlanRequest(profile, "closed", overrides, None, trials, Path("cache"), {}))


def test_closed_allows_model_phase_and_mode_of_files() -> None:
    closed(("model", "llama3-405b"), ("phase", "write"), ("io_mode", "direct"))


def test_closed_refuses_all_other_settings_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        closed(("fsync", "false"), ("scale", "0.5"), profile="quick", trials=3)
    for setting in ("fsync=false, scale=0.5", "--mlps-profile", "--mlps-trials"):
        assert setting in str(raised.value)
