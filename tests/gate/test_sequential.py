"""Rates spent over looks, and shared between metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.gate.sequential import holm_levels, share_of_look


@given(st.floats(0.0001, 0.2), st.integers(1, 12))
def test_all_looks_together_spend_the_rate(rate: float, looks: int) -> None:
    shares = [share_of_look(rate, look, looks) for look in range(1, looks + 1)]
    assert sum(shares) == pytest.approx(rate)
    assert all(share > 0 for share in shares)


def test_most_is_kept_for_the_last_look() -> None:
    assert share_of_look(0.01, 1, 3) < 0.0001
    assert share_of_look(0.01, 3, 3) > 0.008
    assert share_of_look(0.01, 1, 1) == 0.01


@pytest.mark.parametrize("look", [0, 4])
def test_a_look_that_was_not_planned_is_refused(look: int) -> None:
    with pytest.raises(ValueError, match=f"got {look} of 3"):
        share_of_look(0.01, look, 3)


def test_holm_compares_the_smallest_with_the_strictest_level() -> None:
    assert holm_levels([0.5, 0.001, 0.004], 0.01) == pytest.approx([0.01, 0.01 / 3, 0.005])


def test_after_one_that_does_not_pass_none_does() -> None:
    p_values = [0.004, 0.0045, 0.0099]
    levels = holm_levels(p_values, 0.01)
    assert not any(p <= level for p, level in zip(p_values, levels, strict=True))


@given(st.sets(st.floats(0, 1), min_size=1, max_size=12))
def test_a_metric_s_level_does_not_depend_on_the_order(p_values: set[float]) -> None:
    unique = sorted(p_values)
    forward = dict(zip(unique, holm_levels(unique, 0.01), strict=True))
    backward = dict(zip(unique[::-1], holm_levels(unique[::-1], 0.01), strict=True))
    assert forward == backward


def test_a_dozen_metrics_raise_no_more_false_alarms_than_one() -> None:
    dice = np.random.default_rng(1)
    families = dice.random((20000, 12)).tolist()
    alarms = sum(
        any(p <= level for p, level in zip(family, holm_levels(family, 0.05), strict=True))
        for family in families
    )
    assert 0.045 < alarms / len(families) < 0.055
