"""Shares of ranks: sizes of checkpoints, and what each rank has of them."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.checkpointing.model.datasize import datasize_gib
from mlpstorage_bench.checkpointing.model.shapes import MODELS, Model, Parallelism, Shape
from mlpstorage_bench.checkpointing.model.shares import (
    BYTES_PER_PARAMETER,
    bytes_of_rank,
    checkpoint_bytes,
    pieces_of_rank,
)
from mlpstorage_bench.checkpointing.model.tensors import stage_of, tensors_of
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.units import GIB

SMALL = Model("small", "small", Shape(3, 12, 20, 4, 2, 50), Parallelism(1, 1, 3), 1, 1, 6)


@st.composite
def divided(draw: st.DrawFn) -> tuple[Model, int]:
    """A small model with some parallelism, and a number of ranks that it allows."""
    shape = Shape(
        draw(st.integers(1, 5)),
        draw(st.integers(1, 40)) * 4,
        draw(st.integers(1, 60)),
        4,
        draw(st.sampled_from([1, 2, 4])),
        draw(st.integers(1, 90)),
    )
    parallelism = Parallelism(
        draw(st.integers(1, 5)),
        draw(st.integers(1, shape.layers + 2)),
        draw(st.sampled_from([1, 3])),
    )
    ranks = parallelism.model_ranks * draw(st.integers(1, 4))
    return replace(SMALL, shape=shape, parallelism=parallelism), ranks


@given(divided(), st.floats(0.01, 1))
def test_each_element_of_each_tensor_is_in_one_piece(case: tuple[Model, int], scale: float) -> None:
    model, ranks = case
    ranges: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rank in range(ranks):
        for piece in pieces_of_rank(model, rank, ranks, scale):
            ranges[piece.tensor].append((piece.first, piece.first + piece.elements))
    expected = {}
    for tensor in tensors_of(model.shape, scale):
        for name in ("", ".master", ".exp_avg", ".exp_avg_sq"):
            expected[f"{tensor.name}{name}"] = tensor.elements
    assert ranges.keys() == expected.keys()
    for name, parts in ranges.items():
        parts.sort()
        assert parts[0][0] == 0
        assert parts[-1][1] == expected[name]
        assert all(one[1] == following[0] for one, following in itertools.pairwise(parts))


@given(divided(), st.floats(0.01, 1))
def test_shares_of_ranks_add_up_to_the_checkpoint(case: tuple[Model, int], scale: float) -> None:
    model, ranks = case
    shares = [bytes_of_rank(model, rank, ranks, scale) for rank in range(ranks)]
    assert sum(shares) == checkpoint_bytes(model, scale)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama3-8b", 8_030_261_248),
        ("llama3-70b", 69_882_617_856),
        ("llama3-405b", 405_853_388_800),
        ("llama3-1t", 1_183_194_060_048),
    ],
)
def test_models_have_the_parameters_of_their_shapes(name: str, parameters: int) -> None:
    assert checkpoint_bytes(MODELS[name]) == parameters * BYTES_PER_PARAMETER


@pytest.mark.parametrize(
    ("name", "reported_gib"),
    [("llama3-8b", 104.70452117919922), ("llama3-405b", 5292.248718261719)],
)
def test_a_checkpoint_is_as_large_as_the_reference_reports(name: str, reported_gib: float) -> None:
    assert checkpoint_bytes(MODELS[name]) / GIB == pytest.approx(reported_gib, rel=2e-4)


def test_the_smallest_model_has_the_tensors_of_the_published_one() -> None:
    assert len([*tensors_of(MODELS["llama3-8b"].shape)]) == 291


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_first_and_the_last_rank_have_what_the_division_gives(name: str) -> None:
    model = MODELS[name]
    whole, parallelism = checkpoint_bytes(model), model.parallelism
    first, last = (bytes_of_rank(model, rank, model.ranks) for rank in (0, model.ranks - 1))
    if parallelism.zero_stage == 3:
        assert first == pytest.approx(whole / model.ranks, rel=1e-3)
        assert last == pytest.approx(whole / model.ranks, rel=1e-3)
    else:
        later = bytes_of_rank(model, parallelism.model_ranks, model.ranks)
        assert first == pytest.approx(
            later * (12 + 2 * 2) / 12
        )  # the same optimiser, and the model
        assert 0 < last < 2 * whole * 12 / 14 / model.ranks


@pytest.mark.parametrize(
    ("name", "rank", "share_gib"),
    [
        ("llama3-8b", 0, 13.125),
        ("llama3-70b", 63, 14.234),
        ("llama3-405b", 255, 11.80),
        ("llama3-405b", 256, 8.85),
        ("llama3-1t", 0, 20.09),
        ("llama3-1t", 1023, 15.06),
    ],
)
def test_datasize_has_the_rounded_shares_of_the_reference(
    name: str, rank: int, share_gib: float
) -> None:
    model = MODELS[name]
    assert datasize_gib(model, rank, model.ranks) == pytest.approx(share_gib, abs=0.006)


@pytest.mark.parametrize("name", MODELS)
def test_shares_of_datasize_add_up_to_model_and_optimiser(name: str) -> None:
    model = MODELS[name]
    shares = [datasize_gib(model, rank, model.ranks) for rank in range(model.ranks)]
    assert math.fsum(shares) == pytest.approx(
        model.datasize_model_gib + model.datasize_optimiser_gib
    )


def test_ranks_that_are_no_whole_instances_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="multiples of 8"):
        next(pieces_of_rank(MODELS["llama3-70b"], 0, 12))


@given(st.integers(1, 200), st.integers(1, 64))
def test_stages_hold_consecutive_places_as_evenly_as_can_be(layers: int, stages: int) -> None:
    stages = min(layers, stages)
    found = [stage_of(unit, layers, stages) for unit in range(layers + 2)]
    assert found == sorted(found)
    assert set(found) == set(range(stages))
    is_even = layers % stages == 0
    counted = found[1:-1] if is_even else found
    counts = [counted.count(stage) for stage in range(stages)]
    assert max(counts) - min(counts) <= (0 if is_even else 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama3-405b", "llama3-1t"])
def test_shares_of_stages_differ_by_less_than_a_layer(name: str) -> None:
    model = MODELS[name]
    first = range(0, model.parallelism.model_ranks, model.parallelism.tensor)
    shares = [bytes_of_rank(model, rank, model.ranks) for rank in first]
    assert max(shares) < 1.34 * min(shares)
