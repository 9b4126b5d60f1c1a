"""Criteria, baselines and Hypothesis strategies of samples."""

from __future__ import annotations

from hypothesis import strategies as st

from mlpstorage_bench.gate.comparison import Criterion

HIGHER_IS_BETTER = Criterion(higher_is_better=True, smallest_effect=0.05)
LOWER_IS_BETTER = Criterion(higher_is_better=False, smallest_effect=0.05)
QUIET = [[value] for value in (100.0, 100.3, 99.8, 100.1, 99.9, 100.2, 100.0, 99.7, 100.1, 99.9)]
NOISY = [[value] for value in (195.0, 52.0, 195.0, 133.0, 195.0, 195.0, 65.0, 195.0, 190.0, 104.0)]

_values = st.just(0.0) | st.floats(1, 1000)
_capped = st.sampled_from([195.0, 195.0, 194.0, 165.0, 164.0, 120.0, 60.0, 52.0, 0.0])
series = (
    st.sampled_from([QUIET, NOISY])
    | st.lists(st.lists(_values, min_size=1, max_size=3), min_size=1, max_size=12)
    | st.lists(_capped.map(lambda value: [value]), min_size=8, max_size=12)
)
"""Baselines; the last kind has groups of high values, which the precedence test needs."""
trials = st.lists(_values, min_size=1, max_size=12) | st.lists(_capped, min_size=5, max_size=12)
criterions = st.sampled_from([HIGHER_IS_BETTER, LOWER_IS_BETTER])
