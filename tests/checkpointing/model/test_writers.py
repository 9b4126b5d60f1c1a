"""Files of a checkpoint in the forms of programs that train models."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.checkpointing.model.shapes import MODELS
from mlpstorage_bench.checkpointing.model.shares import pieces_of_rank
from mlpstorage_bench.checkpointing.model.writers import (
    INDEX_BYTES_PER_PIECE,
    FileForm,
    Writer,
)
from tests.checkpointing.model.test_shares import SMALL

EIGHT_B = MODELS["llama3-8b"]
FORMS = st.builds(
    FileForm,
    st.sampled_from(get_args(Writer)),
    st.integers(1, 5),
    st.floats(1e-6, 1e-3),
)


@given(FORMS, st.integers(1, 4))
def test_each_piece_of_a_rank_is_in_one_file(form: FileForm, ranks: int) -> None:
    for rank in range(ranks):
        written = Counter(piece for file in form.files(SMALL, rank, ranks) for piece in file.pieces)
        assert written == Counter(pieces_of_rank(SMALL, rank, ranks))


@given(FORMS, st.integers(1, 4))
def test_files_of_all_ranks_have_different_names(form: FileForm, ranks: int) -> None:
    names = [file.name for rank in range(ranks) for file in form.files(SMALL, rank, ranks)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["llama3-70b", "llama3-405b"])
@pytest.mark.slow
def test_files_of_model_parallel_ranks_have_different_names(name: str) -> None:
    model = MODELS[name]
    ranks = [0, 1, 7, 8, model.ranks // 2, model.ranks - 1]
    for writer in get_args(Writer):
        names = [f.name for r in ranks for f in FileForm(writer).files(model, r, model.ranks)]
        assert len(set(names)) == len(names)


def test_dcp_files_differ_by_less_than_the_largest_piece() -> None:
    files = FileForm("dcp", files_per_rank=4).files(EIGHT_B, 1, 8)
    assert len(files) == 4
    sizes = [file.tensor_bytes for file in files]
    largest = max(piece.bytes for file in files for piece in file.pieces)
    assert max(sizes) - min(sizes) < largest


@given(st.integers(1, 6), st.floats(0.001, 1))
def test_dcp_metadata_has_an_entry_for_each_piece_of_each_rank(ranks: int, scale: float) -> None:
    pieces = sum(len([*pieces_of_rank(SMALL, rank, ranks, scale)]) for rank in range(ranks))
    index = FileForm("dcp").files(SMALL, 0, ranks, scale)[-1]
    assert index.name == ".metadata"
    assert index.header_bytes == pieces * INDEX_BYTES_PER_PIECE


def test_only_the_first_rank_writes_dcp_metadata() -> None:
    assert all(file.pieces for file in FileForm("dcp").files(SMALL, 1, 2))


def test_safetensors_shards_keep_their_limit() -> None:
    files = FileForm("safetensors", shard_gb=2.0).files(EIGHT_B, 0, 8)
    assert len(files) > 5
    assert all(file.tensor_bytes <= 2 * 10**9 for file in files)
    assert all(file.header_bytes > 8 for file in files)


def test_ranks_of_later_instances_write_no_model_of_megatron() -> None:
    model = MODELS["llama3-405b"]
    first = FileForm("megatron").files(model, 0, 512, scale=1e-6)
    later = FileForm("megatron").files(model, 256, 512, scale=1e-6)
    assert [file.name for file in first] == [
        "mp_rank_00_000/model_rng-00000.pt",
        "mp_rank_00_000/distrib_optim-00000.pt",
    ]
    assert [file.name for file in later] == ["mp_rank_00_000/distrib_optim-00001.pt"]


def test_a_file_has_parts_for_its_header_and_each_tensor() -> None:
    (file,) = FileForm("rank").files(EIGHT_B, 3, 8)
    assert len(file.parts) == 291 * 4
    assert sum(file.parts) == file.tensor_bytes
    assert file.parts.count(4096 // 8 * 2) == 65  # norms of the model
    assert file.parts.count(4096 // 8 * 4) == 65 * 3  # and of the optimiser
