"""A trial that was stored as JSON is pooled with others as if it had just been measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.results.pooling import pool_case, pool_samples, pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import Preconditioning, RankTrial
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.stored_trial import (
    KVStoredTrial,
    restored_trial,
    stored_trial,
)
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.steadiness import Criterion, assess
from mlpstorage_bench.measure.time_series import PhaseSeries, TimeSeries
from tests.kvcache.results.test_case_result import rank_trial

STEADY = assess([5.0, 6.0, 5.5, 6.5, 5.0, 6.0, 5.5, 6.5], Criterion(1.0, 0.1, 0.5))

_NUMBERS, _P95 = (1 << 40, 0, 3), (12.5, None, 0.4)
SERIES = TimeSeries(1e-6, (PhaseSeries("window", 0.0, 2.5, 1.0, *(_NUMBERS,) * 6, *(_P95,) * 4),))


def measured(trial: int) -> KVStoredTrial:
    """Return a trial of four ranks, one of them slow, with every kind of evidence."""
    ranks: list[RankTrial] = []
    for number in range(4):
        read_gib = 0.1 if number == 3 else 2.0 + trial
        rank = rank_trial(number, read_gib, [200] * 100 if number == 3 else [10 + trial] * 100)
        lateness = Histogram()
        lateness.record(1000 * (number + 1))
        of_class = ClassCounters(within_target=number)
        of_class.latency.record(5_000_000 * (number + 1))
        rank.requests.classes["batch"] = of_class
        ranks.append(
            replace(
                rank,
                lateness=lateness,
                corruption="here" if number == 2 else "",
                steadiness=STEADY,
                warm_up=STEADY,
                preconditioning=Preconditioning(3.0, 1 << 30, STEADY),
            )
        )
    samples = PooledHistograms.of(ranks)
    return KVStoredTrial(pool_trial(trial, ranks, samples), samples, SERIES)


def test_stored_trials_give_the_same_case() -> None:
    trials = [measured(number) for number in (1, 2)]
    assert trials[0].result.values["stragglers"], "every kind of record is stored"
    assert trials[0].result.values["preconditioning"]
    texts = [json.dumps(stored_trial(one)) for one in trials]
    restored = [restored_trial(json.loads(text)) for text in texts]
    for stored, again in zip(trials, restored, strict=True):
        result = stored.result
        assert again.result.values == result.values
        assert (again.result.trial, again.result.corruption) == (result.trial, result.corruption)
        assert again.result.conditions == result.conditions
        assert again.series == stored.series
    before, after = (
        pool_case(
            "1",
            [one.result for one in some],
            pool_samples(PooledHistograms.total(one.samples for one in some)),
        )
        for some in (trials, restored)
    )
    assert json.dumps(after.metrics()) == json.dumps(before.metrics())
    assert after.notes() == before.notes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("requests"),
        lambda content: content["requests"].pop("latency"),
        lambda content: content["requests"].update(requests="ten"),
        lambda content: content["requests"]["latency"].update(buckets="a:b"),
        lambda content: content["operations"][0].update(key=["storage"]),
        lambda content: content["values"].update(stragglers=[{"host": 1}]),
        lambda content: content.update(values=[]),
        lambda content: content.update(time_series={"phases": 1}),
    ],
)
def test_other_json_is_no_stored_trial(damage: object) -> None:
    content = json.loads(json.dumps(stored_trial(measured(1))))
    damage(content)  # type: ignore[operator]  # a function
    with pytest.raises(ValueError, match=r"\w"):
        restored_trial(content)
