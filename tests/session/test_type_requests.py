"""Messages about profiles and parameters of types: values as the user typed them."""

from __future__ import annotations

import argparse

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.settings import Settings, read_settings
from mlpstorage_bench.session.type_requests import check_used, plan_for

PREFIXED = {
    "value": (["checkpointing.phase=raed"], [], "--mlps-set: got 'checkpointing.phase=raed'; "),
    "key": (["checkpointing.fase=read"], [], "--mlps-set: got 'checkpointing.fase'; "),
    "value that is no YAML": (
        ["checkpointing.phase=[read"],
        [],
        "--mlps-set: got 'checkpointing.phase=[read'; ",
    ),
    "values of several keys": (
        ["checkpointing.phase=raed", "files_per_rank=0", "kv_cache.num_users=3"],
        [],
        "--mlps-set: got 'checkpointing.phase=raed, files_per_rank=0'; ",
    ),
    "profile": ([], ["checkpointing.nope"], "--mlps-profile: got 'checkpointing.nope'; "),
    "without a prefix": (["phase=raed"], [], "--mlps-set: got 'phase=raed'; "),
}


def given(**options: object) -> Settings:
    none = {option.dest: None for option in OPTIONS}
    return read_settings(argparse.Namespace(**{**none, **options}), {})


@pytest.mark.parametrize(("keys", "profiles", "beginning"), PREFIXED.values(), ids=PREFIXED)
def test_message_has_the_value_with_its_prefix(
    keys: list[str], profiles: list[str], beginning: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        plan_for(given(mlps_set=keys, mlps_profile=profiles), "checkpointing")
    assert str(raised.value).startswith(beginning)


def test_section_of_the_reference_that_is_nearly_a_type_names_the_type() -> None:
    with pytest.raises(InvalidInputError) as raised:
        plan_for(given(mlps_set=["checkpoint.phase=read"]), "checkpointing")
    assert str(raised.value) == (
        "--mlps-set: got 'checkpoint.phase=read'; accepted: checkpointing.phase=read. Did you mean "
        "'checkpointing'?"
    )
    with pytest.raises(InvalidInputError, match=r"there is no such setting here; leave it out$"):
        plan_for(given(mlps_set=["checkpoint.nonsense=1"]), "checkpointing")


def test_key_of_some_types_names_those_alone() -> None:
    with pytest.raises(InvalidInputError) as raised:
        check_used(given(mlps_set=["phase=read"]), ("checkpointing", "kv_cache", "training"))
    assert str(raised.value) == (
        "--mlps-set: got 'phase=read'; accepted: checkpointing.phase=read or kv_cache.phase=read. "
        "checkpointing and kv_cache know the key: name the type"
    )
