"""Pages and tables equal what their declarations make."""

from __future__ import annotations

import pytest

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.options.declared import OPTIONS
from tests.docs import (
    checkpointing_page,
    equivalents_page,
    extending_page,
    gate_page,
    options_page,
    profile_page,
    training_page,
)
from tests.docs.made_part import MadePart

PARTS = (
    options_page.OPTIONS,
    options_page.SETTINGS,
    *profile_page.PARTS,
    *training_page.PARTS,
    *checkpointing_page.PARTS,
    equivalents_page.EQUIVALENTS,
    *extending_page.PARTS,
    gate_page.DEFAULT_RULES,
)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_page_equals_its_declarations(part: MadePart) -> None:
    part.check()


def test_every_option_has_a_row() -> None:
    page = options_page.OPTIONS.written()
    assert [one.flag for one in OPTIONS if f"\n| `{one.flag}`" not in page] == []


def test_groups_have_every_key_of_a_workload_once() -> None:
    keys = [key for group in profile_page.GROUPS.values() for key in group]
    assert sorted(keys) == sorted(Workload.model_fields.keys() - profile_page.NOT_WRITTEN)
