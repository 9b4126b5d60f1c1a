from __future__ import annotations

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.gate.rules import Limit, Rule, Rules, parse_rules
from mlpstorage_bench.kvcache.results.gated import GATED, METRIC_SYNONYMS, TRIAL_METRICS

SOURCE = "--mlps-gate-rule"


def rules(*lines: str) -> Rules:
    return parse_rules(GATED, [(SOURCE, line) for line in lines], METRIC_SYNONYMS, TRIAL_METRICS)


def test_what_the_type_ships_holds_for_every_case() -> None:
    asked = rules().of_case("1")
    assert set(asked) == set(GATED)
    assert asked["read_gib_s"] == Rule("read_gib_s", higher_is_better=True, smallest_effect=0.1)
    assert asked["read_p95_ms"] == Rule("read_p95_ms", higher_is_better=False, smallest_effect=0.2)


def test_every_shipped_metric_is_one_that_trials_have() -> None:
    assert set(GATED) | set(METRIC_SYNONYMS.values()) <= TRIAL_METRICS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("read_bandwidth: -5%", Rule("read_gib_s", True, 0.05)),  # noqa: FBT003 - as it is
        ("read_bandwidth: \N{MINUS SIGN}2.5 %", Rule("read_gib_s", True, 0.025)),  # noqa: FBT003
        ("cpu_s_per_gib: +30%", Rule("cpu_s_per_gib", False, 0.3)),  # noqa: FBT003
        ("read_p95: <= 20 ms", Rule("read_p95_ms", False, 0.2, Limit(at_least=False, value=20))),  # noqa: FBT003
        ("read_p95: ≤ 0.02 s", Rule("read_p95_ms", False, 0.2, Limit(at_least=False, value=20))),  # noqa: FBT003
        ("write_gib_s: >= 512 MiB/s", Rule("write_gib_s", True, 0.1, Limit(True, 0.5))),  # noqa: FBT003
        ("read_gib_s: -1%, >= 3", Rule("read_gib_s", True, 0.01, Limit(True, 3))),  # noqa: FBT003
        ("hit_rate: >= 90 %", Rule("hit_rate", limit=Limit(at_least=True, value=0.9))),
    ],
)
def test_a_line_says_what_matters_and_what_must_be_reached(line: str, expected: Rule) -> None:
    assert rules(line).of_case("1")[expected.metric] == expected


def test_later_rules_win_part_by_part_and_those_of_a_case_over_those_of_all() -> None:
    own = rules("2/read_gib_s: -30%", "read_gib_s: -20%", "read_gib_s: >= 1 GiB/s")
    assert own.of_case("1")["read_gib_s"].smallest_effect == 0.2
    assert own.of_case("2")["read_gib_s"].smallest_effect == 0.3
    for case in ("1", "2"):
        assert own.of_case(case)["read_gib_s"].limit == Limit(at_least=True, value=1.0)


def test_a_metric_can_be_left_out_and_taken_in_again() -> None:
    assert "read_gib_s" not in rules("read_gib_s: off").of_case("1")
    assert "read_gib_s" in rules("read_gib_s: off", "2/read_gib_s: -5%").of_case("2")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("read_gib_s", "METRIC: -10%"),
        ("read_gibs: -10%", "Did you mean 'read_gib_s'"),
        ("read_gib_s: 10%", "'10%' is none of these"),
        ("read_gib_s: -0%", "above 0 % and below 100 %"),
        ("read_gib_s: -100%", "above 0 % and below 100 %"),
        ("read_p95_ms: <= 20 GiB/s", "the unit of read_p95_ms"),
        ("read_p95_ms: < 20 ms", "is none of these"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_source(line: str, told: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        rules(line)
    assert told in str(refused.value)
    assert str(refused.value).startswith(SOURCE)


def test_a_rule_reads_as_it_was_meant() -> None:
    assert str(rules("read_gib_s: -7.5%, >= 3 GiB/s").of_case("1")["read_gib_s"]) == (
        "-7.5 %, ≥ 3 GiB/s"
    )
