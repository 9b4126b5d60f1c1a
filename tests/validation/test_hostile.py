"""Trees of any content: every rule has a verdict, and none raises."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.validation.trees import Submission

pytestmark = pytest.mark.slow

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from([10**400, "nan", "-1", -1, 0, [], {}]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(document: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values in a document."""
    inner: list[Any] = []
    if isinstance(document, dict):
        inner = list(document.items())
    elif isinstance(document, list):
        inner = list(enumerate(document))
    return [place, *(found for key, value in inner for found in places(value, (*place, key)))]


def replaced(document: Any, place: tuple[Any, ...], value: object) -> Any:
    if not place:
        return value
    copy = document.copy()
    copy[place[0]] = replaced(document[place[0]], place[1:], value)
    return copy


def damaged_submission(folder: Path, data: st.DataObject) -> Submission:
    """Write a submission of all benchmark types, with any value at any place of one document."""
    made = Submission(folder)
    made.write()
    made.add_training()
    made.add_checkpointing()
    made.add_vectors()
    documents = sorted(made.top.rglob("*.json"))
    path = data.draw(st.sampled_from(documents), label="file")
    document = json.loads(path.read_text())
    place = data.draw(st.sampled_from(places(document)), label="place")
    value = data.draw(VALUES, label="value")
    path.write_text(json.dumps(replaced(document, place, value)))
    return made


@settings(max_examples=25)
@given(st.data())
def test_any_value_at_any_place_of_a_document_has_a_verdict(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = damaged_submission(Path(folder) / "tree", data)
        assert all(finding.verdict in Verdict for finding in validate(read_tree(made.top)))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b"[1e400]", b'"text"', b"1" * 5000]
)
def test_any_content_of_a_file_has_a_verdict(tmp_path: Path, content: bytes) -> None:
    made = Submission(tmp_path / "tree")
    made.write()
    for path in [*made.top.rglob("*.json"), *made.top.rglob("*.yaml")]:
        path.write_bytes(content)
    assert validate(read_tree(made.top))


@pytest.mark.parametrize("kind", ["pipe", "link to itself", "directory"])
def test_files_of_other_kinds_are_findings(tmp_path: Path, kind: str) -> None:
    made = Submission(tmp_path / "tree")
    made.write()
    for path in [*made.kv_leaf.rglob("*.json"), made.kv_leaf / ".mlps-code-image"]:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "directory":
            path.mkdir()
        else:
            path.symlink_to(path.name)
    findings = validate(read_tree(made.top))
    assert {f.verdict for f in findings if f.rule == "6.3.1.1"} == {Verdict.UNKNOWN}


def test_links_to_other_trees_are_not_followed(tmp_path: Path) -> None:
    made = Submission(tmp_path / "tree")
    made.write()
    (made.kv_leaf.parent / "20260101_000000").symlink_to(made.kv_leaf)
    assert len(read_tree(made.top).leaves) == 1


def test_directory_that_cannot_be_listed_is_a_finding(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may list every directory")
    made = Submission(tmp_path / "tree")
    made.write()
    made.kv_leaf.chmod(0)
    try:
        assert validate(read_tree(made.top))
    finally:
        made.kv_leaf.chmod(0o755)
