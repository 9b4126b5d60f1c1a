"""Rules that combine values over ranks and over trials."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Generic, TypeVar

from mlpstorage_bench.metric.declaration import AcrossTrials, Derivation
from mlpstorage_bench.metric.values import Values, number_of, numbers_in

V = TypeVar("V")
Number = TypeVar("Number", int, float)
Rank = TypeVar("Rank")
Samples = TypeVar("Samples")
Trial = TypeVar("Trial")


class RankRules(Generic[Rank, Samples, Trial]):
    """Rules of one benchmark type over its records.

    A trial has `ranks`, the record of each rank, and `samples`, the histograms of all of them.
    """

    @staticmethod
    def total(of: Callable[[Rank], Number]) -> Derivation[Number]:
        """Add up the ranks' values."""
        return Derivation("sum", lambda trial: sum(of(rank) for rank in trial.ranks))

    @staticmethod
    def total_known(of: Callable[[Rank], Number | None]) -> Derivation[Number | None]:
        """Add up the ranks' values; None if one has none."""

        def added(trial: Any) -> Number | None:
            known = list(_known(map(of, trial.ranks)))
            return sum(known) if len(known) == len(trial.ranks) else None

        return Derivation("sum", added)

    @staticmethod
    def mean(of: Callable[[Rank], float]) -> Derivation[float]:
        """Take the mean of the ranks' values."""
        return Derivation("mean", lambda trial: statistics.fmean(of(rank) for rank in trial.ranks))

    @staticmethod
    def largest(of: Callable[[Rank], Number]) -> Derivation[Number]:
        """Take the largest of the ranks' values."""
        return Derivation("largest", lambda trial: max(of(rank) for rank in trial.ranks))

    @staticmethod
    def largest_known(of: Callable[[Rank], Number | None]) -> Derivation[Number | None]:
        """Take the largest of the values that ranks have; None without any."""
        return Derivation("largest", lambda trial: max(_known(map(of, trial.ranks)), default=None))

    @staticmethod
    def smallest_known(of: Callable[[Rank], Number | None]) -> Derivation[Number | None]:
        """Take the smallest of the values that ranks have; None without any."""
        return Derivation("smallest", lambda trial: min(_known(map(of, trial.ranks)), default=None))

    @staticmethod
    def share(of: Callable[[Rank], tuple[float, float]]) -> Derivation[float | None]:
        """Divide the sum of parts by the sum of wholes; None if the divisor is 0."""

        def shared(trial: Any) -> float | None:
            pairs = [of(rank) for rank in trial.ranks]
            whole = sum(pair[1] for pair in pairs)
            return sum(pair[0] for pair in pairs) / whole if whole else None

        return Derivation("sum of parts ÷ sum of wholes", shared)

    @staticmethod
    def any_of(of: Callable[[Rank], bool]) -> Derivation[bool]:
        """State whether any rank's value is true."""
        return Derivation("true if any is", lambda trial: any(of(rank) for rank in trial.ranks))

    @staticmethod
    def first_text(of: Callable[[Rank], str]) -> Derivation[str]:
        """Take the first text that is not empty."""
        return Derivation(
            "first that is not empty", lambda trial: next(filter(None, map(of, trial.ranks)), "")
        )

    @staticmethod
    def each(of: Callable[[Rank], V | None]) -> Derivation[list[V]]:
        """List the values that ranks have."""
        return Derivation("list of each rank's", lambda trial: list(_known(map(of, trial.ranks))))

    @staticmethod
    def pooled(of: Callable[[Samples], V]) -> Derivation[V]:
        """Derive the value from the samples of all ranks added up."""
        return Derivation("samples of all ranks together", lambda trial: of(trial.samples))

    @staticmethod
    def together(rule: str, of: Callable[[Trial], V]) -> Derivation[V]:
        """Derive the value from all ranks at once; `rule` describes the derivation in words."""
        return Derivation(rule, of)


def _known(values: Iterable[V | None]) -> Iterable[V]:
    return (value for value in values if value is not None)


def _of_known(
    combine: Callable[[Sequence[float]], float],
) -> Callable[[str, Sequence[Values]], float | None]:
    def combined(name: str, trials: Sequence[Values]) -> float | None:
        known = numbers_in(trials, name)
        return combine(known) if known else None

    return combined


def _joined(name: str, trials: Sequence[Values]) -> list[object]:
    return [
        {"trial": number, **_fields(one)}
        for number, trial in enumerate(trials, 1)
        for one in _listed(trial[name])
    ]


def _listed(value: object) -> Sequence[object]:
    assert isinstance(value, Sequence), "only lists of records are joined"
    return value


def _fields(record: object) -> Mapping[str, object]:
    """Return the fields of a record, also of one that JSON has kept."""
    if isinstance(record, Mapping):
        return record
    assert is_dataclass(record)
    assert not isinstance(record, type)
    return asdict(record)


SUM = AcrossTrials("sum", _of_known(sum))
MEAN = AcrossTrials("mean", _of_known(statistics.fmean))
MEAN_WITH_SPREAD = AcrossTrials(
    "mean, with the least and the greatest", _of_known(statistics.fmean), has_spread=True
)
LARGEST = AcrossTrials("largest", _of_known(max))
POOLED = AcrossTrials("samples of all trials together", lambda _name, _trials: None, is_pooled=True)
LIST = AcrossTrials("list of each trial's", lambda name, trials: [one[name] for one in trials])
JOINED = AcrossTrials("records of all trials, each with its trial's number", _joined)
NOT_COMBINED = AcrossTrials("only in each trial", lambda _n, _t: None, is_of_cases=False)


def of_worst(judged: str, severity: Sequence[str], ratio: str) -> AcrossTrials:
    """Take the value of the trial whose metric `judged` comes last in an order of severity.

    Of several, it is that whose metric `ratio` is furthest from 1.
    """

    def badness(trial: Values) -> tuple[int, float]:
        known = number_of(trial[ratio])
        return severity.index(str(trial[judged])), 0.0 if known is None else abs(known - 1)

    def combine(name: str, trials: Sequence[Values]) -> object:
        return max(trials, key=badness)[name]

    return AcrossTrials(f"that of the trial with the worst {judged}", combine)


def of_largest(judged: str) -> AcrossTrials:
    """Take the value of the trial with the largest metric `judged`; None counts as 0."""

    def combine(name: str, trials: Sequence[Values]) -> object:
        return max(trials, key=lambda trial: number_of(trial[judged]) or 0)[name]

    return AcrossTrials(f"that of the trial with the largest {judged}", combine)
