"""The sentence on other programs' use of the storage, of cases of every benchmark type."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord

SENTENCE = "Other programs used the storage during {}: run again while nothing else does."


def case(
    name: str, disturbed: Sequence[bool], audit: str = "ok", foreign_gib_s: float | None = None
) -> CaseRecord:
    others = {"foreign_gib_s": foreign_gib_s}
    trials = tuple(
        TrialRecord(
            number, {**others, "host_audit_verdict": "foreign traffic" if one else "ok"}, ()
        )
        for number, one in enumerate(disturbed, 1)
    )
    metrics = {"audit_verdict": audit}
    return CaseRecord("any", name, len(trials), {}, trials=trials, metrics=metrics)


@pytest.mark.parametrize(
    ("benchmark_type", "called"),
    [
        ("kv_cache", "workloads 1 and 3"),
        ("training", "trainings 1 and 3"),
        ("checkpointing", "cases 1 and 3"),
    ],
)
def test_cases_with_most_trials_disturbed_are_named(benchmark_type: str, called: str) -> None:
    cases = [
        case("1", [True, True, False]),
        case("2", [True, False, False]),
        case("3", [True]),
        case("4", [True], audit="served from page cache"),
        case("5", []),
    ]
    found = registry.load(benchmark_type).conclusions(cases)
    assert SENTENCE.format(called) in found
    of_one = registry.load(benchmark_type).conclusions(cases[:2])
    assert SENTENCE.format(f"{called.split(maxsplit=1)[0][:-1]} 1") in of_one


@pytest.mark.parametrize(("foreign_gib_s", "is_named"), [(0.0, False), (0.1, True), (None, True)])
def test_read_ahead_of_the_ranks_is_not_that_of_other_programs(
    foreign_gib_s: float | None, *, is_named: bool
) -> None:
    cases = [case("1", [True], audit="foreign traffic", foreign_gib_s=foreign_gib_s)]
    found = registry.load("training").conclusions(cases)
    assert (SENTENCE.format("training 1") in found) is is_named


@pytest.mark.parametrize("benchmark_type", ["kv_cache", "training", "checkpointing"])
def test_few_disturbed_trials_are_a_note_alone(benchmark_type: str) -> None:
    found = registry.load(benchmark_type).conclusions([case("1", [True, False, False])])
    assert not [one for one in found if "Other programs" in one]
