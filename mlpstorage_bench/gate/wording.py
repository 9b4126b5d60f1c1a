"""Words for changes, reasons and the next step, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS
from mlpstorage_bench.gate.judgement import Judgement, Verdict
from mlpstorage_bench.gate.rules import Rule

_TIME_UNITS = ("ms", "s")
_QUANTITY = {"GiB/s": " bandwidth", "MiB/s": " bandwidth"}
"""Unit → what there is less or more of."""
UNCHANGED = "unchanged"
_LEAST_CHANGE = 0.0005
_FACTOR = 2.0
"""Ratio from which on a change is stated as a factor."""


def change_in_words(ratio: float, unit: str) -> str:
    """Return a change in the metric's own direction: `5.8 x slower`, `40 % less bandwidth`.

    `ratio` is the new value ÷ the old one.
    """
    number, word = _change(ratio, unit)
    return f"{number} {word}".strip()


def compared_in_words(ratio: float, unit: str) -> str:
    """Return a change as a clause: `40 % less bandwidth than the baseline`."""
    change = change_in_words(ratio, unit)
    return f"{change} from the baseline" if change == UNCHANGED else f"{change} than the baseline"


def interval_in_words(low: float, high: float, unit: str) -> str:
    """Return an interval of ratios, new ÷ old: `35 to 42 % less`."""
    (low_size, low_word), (high_size, high_word) = _change(low, unit), _change(high, unit)
    (low_number, _, low_sign), (high_number, _, high_sign) = (
        low_size.partition(" "),
        high_size.partition(" "),
    )
    if (low_sign, low_word) != (high_sign, high_word):
        quantity = _QUANTITY.get(unit, "")
        return " to ".join(
            f"{size} {word.removesuffix(quantity)}".strip()
            for size, word in ((low_size, low_word), (high_size, high_word))
        )
    if low_number == high_number:
        return f"{low_size} {low_word.removesuffix(_QUANTITY.get(unit, ''))}".strip()
    least, most = sorted((low_number, high_number), key=float)
    return f"{least} to {most} {low_sign} {low_word.removesuffix(_QUANTITY.get(unit, ''))}"


def _change(ratio: float, unit: str) -> tuple[str, str]:
    """Return the size of a change, with its sign, and the word for its direction."""
    is_time = unit in _TIME_UNITS
    more, less = ("slower", "faster") if is_time else ("more", "less")
    quantity = _QUANTITY.get(unit, "")
    if abs(ratio - 1) < _LEAST_CHANGE:
        return "", UNCHANGED
    if ratio >= _FACTOR:
        return f"{_factor(ratio)} x", more + quantity
    if is_time and 0 < ratio <= 1 / _FACTOR:
        return f"{_factor(1 / ratio)} x", less
    return f"{percent(abs(ratio - 1))} %", (more if ratio > 1 else less) + quantity


def _factor(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}"  # noqa: PLR2004 - rounds to 10


def listed(names: Sequence[str], most: int) -> str:
    """Return names with commas between, cut after `most`: `a, b and 3 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def percent(share: float) -> str:
    """Return a share in per cent, with a decimal below ten: `40`, `4.2`."""
    value = 100 * share
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"  # noqa: PLR2004 - rounds to 10


def ratio_of(judgement: Judgement) -> float | None:
    """Return this run's value ÷ the baseline's; None if no relative change is defined.

    Values are medians, or those of the best trial and the best baseline runs if these decided.
    """
    if judgement.best_ratio is not None:
        return judgement.best_ratio
    if judgement.effect is None or not judgement.baseline_median:
        return None
    return judgement.candidate_median / judgement.baseline_median


def reason_of(judgement: Judgement, rule: Rule, runs: int, trials: int) -> str:
    """Return the reason of a verdict; `runs` and `trials` are numbers of the baseline and here."""
    ratio = ratio_of(judgement)
    if ratio is None:
        return judgement.reason
    if judgement.best_ratio is not None:
        change = change_in_words(ratio, rule.unit)
        side = "best" if judgement.verdict is Verdict.REGRESSED else "worst"
        return f"at least {change} than the {side} baseline runs, in all {trials} trials"
    change = compared_in_words(ratio, rule.unit)
    if judgement.verdict in (Verdict.REGRESSED, Verdict.IMPROVED):
        values = f"{judgement.baseline_median:.4g} → {judgement.candidate_median:.4g}"
        return f"{change} ({values} {rule.unit}".rstrip() + "), beyond its variation"
    if judgement.verdict is Verdict.UNDECIDED and runs >= MIN_RUNS and trials >= MIN_TRIALS:
        return _undecided(judgement, rule)
    return judgement.reason


def shows_smallest_effect(judgement: Judgement, rule: Rule) -> bool:
    """Return whether these samples would show the smallest loss that matters."""
    detectable = judgement.detectable_effect
    return detectable is not None and detectable <= (rule.smallest_effect or 0.0)


def _undecided(judgement: Judgement, rule: Rule) -> str:
    loss = f"a loss of {percent(rule.smallest_effect or 0.0)} %"
    if shows_smallest_effect(judgement, rule):
        return f"{loss} is neither shown nor ruled out"
    if judgement.detectable_effect is None:
        return "these samples can show no loss of any size"
    detectable = percent(judgement.detectable_effect)
    smallest = percent(rule.smallest_effect or 0.0)
    return f"these samples can show a loss of {detectable} % or more, not of {smallest} %"
