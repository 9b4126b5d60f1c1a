"""Ratios of two checkouts side by side."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import two_checkouts
from benchmarks.harness.goals import Case


def case(shape: str, **ratios: float | None) -> Case:
    labels: dict[str, Any] = {"pattern": "read", "block": "64KiB", "shape": shape}
    return labels | ratios


def test_cases_of_both_have_their_ratios_side_by_side() -> None:
    before = {"test_parity": [case("1 x 1", bandwidth_ratio=0.333, cpu_ratio=22.0)]}
    after = {
        "test_parity": [
            case("1 x 1", bandwidth_ratio=0.97, cpu_ratio=4.0, bare_cpu_ratio=1.0),
            case("16 x 1", bandwidth_ratio=0.5),
        ]
    }
    [row] = two_checkouts.rows("test_parity", after, before)
    assert row["shape"] == "1 x 1"
    assert (row["bandwidth_ratio"], row["cpu_ratio"]) == ("0.33 → 0.97", "22.00 → 4.00")
    assert row["bare_cpu_ratio"] is None
    headings = [column.heading for column in two_checkouts.columns([row])]
    assert headings == ["", "block", "lanes x chunks", "bandwidth", "CPU/GiB"]


def test_study_that_one_checkout_lacks_has_no_rows() -> None:
    assert not list(two_checkouts.rows("test_option_1", {}, {"test_option_1": [case("1 x 1")]}))
