"""Runs of any content: a submission is made of them, and no reader raises."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.inputs.yaml_files import parse_yaml
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.submission.columns import COLUMNS
from mlpstorage_bench.submission.draft import draft
from mlpstorage_bench.submission.hardware import hardware_of
from mlpstorage_bench.submission.table import table_of, write_tables
from mlpstorage_bench.validation.tree import read_tree
from tests.validation.test_hostile import damaged_submission

pytestmark = pytest.mark.slow


@settings(max_examples=25)
@given(st.data())
def test_any_value_at_any_place_of_a_document_has_a_table_and_a_draft(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = damaged_submission(Path(folder) / "tree", data)
        tree = read_tree(made.top)
        table = table_of(tree)
        write_tables(table, tree)
        assert all(tuple(row.cells) == COLUMNS for row in table.rows)
        for leaf in tree.leaves:
            if not isinstance(leaf.metadata, Unreadable):
                text = draft(leaf.system, "a run", hardware_of(leaf.metadata))
                assert parse_yaml(text).content["system_under_test"]["clients"]
