"""Errors keep their type, notes and cause when a place is added and when ranks exchange them."""

from __future__ import annotations

import pickle

import pytest

from mlpstorage_bench.errors import InvalidInputError, StorageError

READING = "reading entry.kv failed: it is gone. Look there"


def failure() -> StorageError:
    return StorageError("reading", "entry.kv", "it is gone", hint="Look there")


def test_with_place_returns_an_error_of_the_same_type_that_names_the_place() -> None:
    original = failure()
    located = original.with_place("rank 3 on node-b")
    assert type(located) is StorageError
    assert str(located) == f"rank 3 on node-b: {READING}"
    assert str(original) == READING


def test_with_place_keeps_notes_attributes_cause_and_traceback() -> None:
    with pytest.raises(InvalidInputError) as caught:
        raise InvalidInputError("io_mode", "direct", "buffered") from OSError("EIO")
    original = caught.value
    original.add_note("on another lane: the same")
    located = original.with_place("rank 3 on node-b")
    assert located.source == "io_mode"
    assert located.__notes__ == ["on another lane: the same"]
    assert isinstance(located.__cause__, OSError)
    assert located.__traceback__ is original.__traceback__


def test_with_place_does_not_share_notes_with_the_original() -> None:
    original = failure()
    original.add_note("first")
    located = original.with_place("rank 3 on node-b")
    located.add_note("second")
    assert original.__notes__ == ["first"]


@pytest.mark.parametrize("place", ["", "rank 3 on node-b"])
def test_pickled_errors_keep_type_text_and_notes(place: str) -> None:
    original = failure().with_place(place) if place else failure()
    original.add_note("on another lane: the same")
    received = pickle.loads(pickle.dumps(original))  # noqa: S301 - of our own
    assert type(received) is StorageError
    assert str(received) == (f"{place}: {READING}" if place else READING)
    assert received.__notes__ == ["on another lane: the same"]
