from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mlpstorage_bench.metric.declaration import (
    AcrossTrials,
    Derivation,
    Description,
    Measured,
    Metric,
    Shown,
    case_values,
    declared_in,
    pooled_values,
    trial_values,
)
from mlpstorage_bench.metric.rules import (
    JOINED,
    LARGEST,
    LIST,
    MEAN,
    MEAN_WITH_SPREAD,
    NOT_COMBINED,
    POOLED,
    SUM,
    RankRules,
    of_largest,
    of_worst,
)
from mlpstorage_bench.results.metadata_parts import MetricFacts
from mlpstorage_bench.units import COUNT, RECORD, SECONDS, SHARE, TEXT


@dataclass(frozen=True)
class Rank:
    """A rank's record."""

    moved: int
    took_s: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Trial:
    """All ranks' records."""

    ranks: tuple[Rank, ...]
    samples: tuple[float, ...] = ()


RANKS = RankRules[Rank, tuple[float, ...], Trial]()
TRIAL = Trial((Rank(1, None), Rank(3, 2.0, "slow"), Rank(2, 0.5)), (1.0, 5.0))


class Work(Measured):
    """Work."""

    moved = Metric("Moved.", COUNT, RANKS.total(lambda rank: rank.moved), SUM, shown=Shown.LISTS)
    rate = Metric("Rate.", COUNT, RANKS.mean(lambda rank: rank.moved), MEAN_WITH_SPREAD)
    longest = Metric("Longest.", SECONDS, RANKS.pooled(max), POOLED)
    order = Metric("Order.", RECORD, RANKS.each(lambda rank: rank.moved), NOT_COMBINED)


@pytest.mark.parametrize(
    ("derivation", "expected"),
    [
        (RANKS.total(lambda rank: rank.moved), 6),
        (RANKS.mean(lambda rank: rank.moved), 2.0),
        (RANKS.largest(lambda rank: rank.moved), 3),
        (RANKS.largest_known(lambda rank: rank.took_s), 2.0),
        (RANKS.smallest_known(lambda rank: rank.took_s), 0.5),
        (RANKS.share(lambda rank: (rank.took_s or 0, rank.moved)), 2.5 / 6),
        (RANKS.share(lambda _rank: (1, 0)), None),
        (RANKS.any_of(lambda rank: rank.moved > 2), True),
        (RANKS.first_text(lambda rank: rank.note), "slow"),
        (RANKS.each(lambda rank: rank.took_s), [2.0, 0.5]),
        (RANKS.pooled(sum), 6.0),
        (RANKS.together("count", lambda trial: len(trial.ranks)), 3),
    ],
    ids=lambda value: value.rule if isinstance(value, Derivation) else None,
)
def test_rule_combines_values_of_ranks(derivation: Derivation[object], expected: object) -> None:
    assert derivation.of(TRIAL) == expected


def test_rules_for_known_values_give_none_where_no_rank_knows() -> None:
    unknown = Trial((Rank(1), Rank(2)))
    assert RANKS.largest_known(lambda rank: rank.took_s).of(unknown) is None
    assert RANKS.first_text(lambda rank: rank.note).of(unknown) == ""


TRIALS: list[dict[str, Any]] = [
    {"x": 0.9, "word": "ok", "near": None, "records": [Rank(1)]},
    {"x": None, "word": "bad", "near": 0.2, "records": []},
    {"x": 1.2, "word": "ok", "near": 0.1, "records": [Rank(0, 0.5)]},
]


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        (SUM, "x", 2.1),
        (MEAN, "x", 1.05),
        (LARGEST, "x", 1.2),
        (LIST, "x", [0.9, None, 1.2]),
        (
            JOINED,
            "records",
            [
                {"trial": 1, "moved": 1, "took_s": None, "note": ""},
                {"trial": 3, "moved": 0, "took_s": 0.5, "note": ""},
            ],
        ),
        (of_worst("word", ("ok", "bad"), "x"), "near", 0.2),
        (of_worst("word", ("bad", "ok"), "x"), "near", 0.1),
        (of_largest("near"), "word", "bad"),
    ],
    ids=lambda value: value.rule if isinstance(value, AcrossTrials) else None,
)
def test_rule_combines_values_of_trials(rule: AcrossTrials, name: str, expected: object) -> None:
    found = rule.combine(name, TRIALS)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_mean_of_unknown_values_is_unknown() -> None:
    assert MEAN.combine("x", [{"x": None}, {"x": None}]) is None


def test_declarations_give_the_metrics_of_trials_and_cases() -> None:
    metrics = declared_in(Work)
    first = trial_values(metrics, TRIAL)
    second = trial_values(metrics, Trial((Rank(4),), (7.0,)))
    assert first == {"moved": 6, "rate": 2.0, "longest": 5.0, "order": [1, 3, 2]}
    pooled = pooled_values(metrics, Trial((), (1.0, 5.0, 7.0)))
    assert case_values(metrics, [first, second], pooled) == {
        "moved": 10,
        "rate": 3.0,
        "rate_min": 2.0,
        "rate_max": 4.0,
        "longest": 7.0,
    }


def test_attribute_is_the_declaration_on_the_class_and_the_value_on_an_object() -> None:
    assert Work.moved.name == "moved"
    assert Work(trial_values(declared_in(Work), TRIAL)).moved == 6


@pytest.mark.parametrize(
    "description",
    [
        Work.moved.description,
        Work.rate.description,
        Description("a_b", "a b", SHARE),
        Description("verdict", "audit", TEXT, None, Shown.REPORT, beside="r", explained_by="why"),
        Description("x", "x", COUNT, "lower"),
    ],
    ids=lambda description: description.name,
)
def test_description_survives_json(description: Description) -> None:
    facts = MetricFacts.model_validate(description.to_json())
    assert facts.description(description.name) == description
