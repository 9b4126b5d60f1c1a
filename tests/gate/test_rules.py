from __future__ import annotations

from functools import partial

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.gate.rules import Limit, Rule, Rules, parse_rules
from mlpstorage_bench.kvcache.benchmark import KV_CACHE

SOURCE = "--mlps-gate-rule"


def rules(*lines: str) -> Rules:
    return parse_rules(KV_CACHE.metrics, [(SOURCE, line) for line in lines])


def test_default_rules_are_those_of_the_metrics_for_every_case() -> None:
    asked = rules().of_case("1")
    assert {name: str(rule) for name, rule in asked.items()} == {
        "requests_per_s": "-10 %",
        "read_gib_s": "-10 %",
        "write_gib_s": "-10 %",
        "read_p95_ms": "+20 %",
        "write_p95_ms": "+20 %",
    }
    assert asked["read_gib_s"] == Rule(
        "read_gib_s", higher_is_better=True, smallest_effect=0.1, unit="GiB/s"
    )


def test_names_and_aliases_of_metrics_are_unique() -> None:
    names = [name for metric in KV_CACHE.metrics for name in (metric.name, *metric.aliases)]
    assert sorted(set(names)) == sorted(names)


def test_default_rules_go_the_way_that_is_worse() -> None:
    for metric in KV_CACHE.metrics:
        if metric.gate:
            assert metric.unit.is_number
            assert metric.gate.startswith("-" if metric.better == "higher" else "+")


def test_metric_without_numbers_is_no_metric_for_a_rule() -> None:
    with pytest.raises(InvalidInputError, match="a metric that runs have"):
        rules("audit_verdict: -10%")


LESS_IS_WORSE = partial(Rule, higher_is_better=True)
MORE_IS_WORSE = partial(Rule, higher_is_better=False)
AT_LEAST = partial(Limit, True)  # noqa: FBT003 - what the name says
AT_MOST = partial(Limit, False)  # noqa: FBT003 - the same


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "read_bandwidth: -5%",
            LESS_IS_WORSE("read_gib_s", smallest_effect=0.05, unit="GiB/s"),
        ),
        (
            "read_bandwidth: \N{MINUS SIGN}2.5 %",
            LESS_IS_WORSE("read_gib_s", smallest_effect=0.025, unit="GiB/s"),
        ),
        (
            "cpu_s_per_gib: +30%",
            MORE_IS_WORSE("cpu_s_per_gib", smallest_effect=0.3, unit="s/GiB"),
        ),
        (
            "read_p95: <= 20 ms",
            MORE_IS_WORSE("read_p95_ms", smallest_effect=0.2, limit=AT_MOST(20), unit="ms"),
        ),
        (
            "read_p95: ≤ 0.02 s",
            MORE_IS_WORSE("read_p95_ms", smallest_effect=0.2, limit=AT_MOST(20), unit="ms"),
        ),
        (
            "write_gib_s: >= 512 MiB/s",
            LESS_IS_WORSE("write_gib_s", smallest_effect=0.1, limit=AT_LEAST(0.5), unit="GiB/s"),
        ),
        (
            "read_gib_s: -1%, >= 3",
            LESS_IS_WORSE("read_gib_s", smallest_effect=0.01, limit=AT_LEAST(3), unit="GiB/s"),
        ),
        ("hit_rate: >= 90 %", Rule("hit_rate", limit=AT_LEAST(0.9), unit="share")),
    ],
)
def test_line_gives_direction_smallest_effect_and_limit(line: str, expected: Rule) -> None:
    assert rules(line).of_case("1")[expected.metric] == expected


def test_later_rules_replace_earlier_ones_and_rules_of_a_case_replace_those_of_all() -> None:
    own = rules("2/read_gib_s: -30%", "read_gib_s: -20%", "read_gib_s: >= 1 GiB/s")
    assert own.of_case("1")["read_gib_s"].smallest_effect == 0.2
    assert own.of_case("2")["read_gib_s"].smallest_effect == 0.3
    for case in ("1", "2"):
        assert own.of_case(case)["read_gib_s"].limit == Limit(at_least=True, value=1.0)


def test_metric_switched_off_can_be_switched_on_for_one_case() -> None:
    assert "read_gib_s" not in rules("read_gib_s: off").of_case("1")
    assert "read_gib_s" in rules("read_gib_s: off", "2/read_gib_s: -5%").of_case("2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("read_gib_s", "METRIC: -10%"),
        ("read_gibs: -10%", "Did you mean 'read_gib_s'"),
        ("read_gib_s: 10%", "'10%' is none of these"),
        ("read_gib_s: -0%", "above 0 % and below 100 %"),
        ("read_gib_s: -100%", "above 0 % and below 100 %"),
        ("read_p95_ms: <= 20 GiB/s", "the unit of read_p95_ms"),
        ("read_p95_ms: < 20 ms", "is none of these"),
        ("read_gib_s: >= 1e999", "a finite number"),
    ],
)
def test_invalid_rule_is_refused_with_its_source(line: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        rules(line)
    assert message in str(refused.value)
    assert str(refused.value).startswith(SOURCE)


def test_rule_as_text_has_its_parts() -> None:
    assert str(rules("read_gib_s: -7.5%, >= 3 GiB/s").of_case("1")["read_gib_s"]) == (
        "-7.5 %, ≥ 3 GiB/s"
    )
