from __future__ import annotations

import json

import pytest

from mlpstorage_bench.results.sealed_json import is_sealed, sealed

CONTENT = {"a": 1, "b": {"10": [1.5, None], "9": "ä"}}


def test_content_is_as_it_was_sealed_in_any_order_and_form() -> None:
    content = sealed(CONTENT)
    assert {key: content[key] for key in CONTENT} == CONTENT
    reordered = dict(reversed(content.items()))
    assert is_sealed(json.loads(json.dumps(reordered, indent=7)))


@pytest.mark.parametrize(
    "changed", [{"a": 2}, {"c": 1}, {"sha256": ""}, {"sha256": None}, {"b": {"9": "ä"}}]
)
def test_any_change_is_noticed(changed: dict[str, object]) -> None:
    assert not is_sealed({**sealed(CONTENT), **changed})


@pytest.mark.parametrize("content", [None, [], "sha256", {}, CONTENT])
def test_content_without_a_checksum_is_not_sealed(content: object) -> None:
    assert not is_sealed(content)
