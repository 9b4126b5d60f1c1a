"""Cases of a run as rows of tables, and the figures of the fastest as tiles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.report.metric_cells import ends_of, narrow_cell, text_of
from mlpstorage_bench.report.page import Tile
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.units import GIB_PER_S, PER_S


def results_table(
    title: str,
    cases: Mapping[str, Values | None],
    described: Mapping[str, Description],
    figures: Mapping[str, CaseFigures],
    least: Shown,
    interrupted: Collection[str] = (),
) -> Section:
    """Return a table of cases with the metrics that are shown at least there, and that a case has.

    Cells have the spread over trials, and percentiles their number of samples. A case without
    metrics has failed, unless it is one of those that were `interrupted`.
    """
    shown = [
        one
        for one in described.values()
        if one.shown >= least
        and any(values and values.get(one.name) not in (None, "") for values in cases.values())
    ]
    rows = [
        (name, str(values.get("trials", "-")), *_cells(shown, values, described, figures.get(name)))
        if values is not None
        else (
            name,
            "-",
            "interrupted" if name in interrupted else "failed",
            *[""] * (len(shown) - 1),
        )
        for name, values in cases.items()
    ]
    return Section(title, ("case", "trials", *(one.title for one in shown)), tuple(rows))


def _cells(
    shown: list[Description],
    values: Values,
    described: Mapping[str, Description],
    figures: CaseFigures | None,
) -> list[str]:
    samples = {} if figures is None else figures.samples
    cells = []
    for one in shown:
        cell = narrow_cell(one, values, described)
        count = samples.get(one.name)
        if count is not None and values.get(one.name) is not None:
            cell += f"\nof {count}"
        cells.append(cell)
    return cells


def case_name(case: str) -> str:
    """Return a case as pages call it: a number is a workload of the profile."""
    return f"workload {case}" if case.isdecimal() else f"case {case}"


def case_title(case: str) -> str:
    """Return a case as it is called at the beginning of a line."""
    name = case_name(case)
    return name[0].upper() + name[1:]


def headline_case(
    cases: Mapping[str, Values], described: Mapping[str, Description], planned: Sequence[str]
) -> str | None:
    """Return the first case of the plan; where none ran, that with the highest bandwidth."""
    of_plan = next((name for name in planned if name in cases), None)
    if of_plan is not None:
        return of_plan
    bandwidths = [one.name for one in bandwidth_metrics(described)]

    def total(name: str) -> float:
        return sum(number_of(cases[name].get(metric)) or 0.0 for metric in bandwidths)

    return max(cases, key=total, default=None)


def bandwidth_metrics(described: Mapping[str, Description]) -> list[Description]:
    """Return the headline metrics that are bandwidths, in the order of their declaration.

    Those of reads, by their names, come first, as other charts have them in the first color.
    """
    found = [
        one
        for one in described.values()
        if one.unit is GIB_PER_S and one.shown >= Shown.HEADLINE and one.has_spread
    ]
    return sorted(found, key=lambda one: not one.name.startswith("read_"))


def tiles_of(
    values: Values, described: Mapping[str, Description], figures: CaseFigures | None
) -> tuple[Tile, ...]:
    """Return a case's headline metrics."""
    samples = {} if figures is None else figures.samples
    return tuple(
        _tile(one, values, described, samples.get(one.name))
        for one in described.values()
        if one.shown >= Shown.HEADLINE and values.get(one.name) is not None
    )


def _tile(
    one: Description, values: Values, described: Mapping[str, Description], samples: int | None
) -> Tile:
    unit = "" if one.unit.kind != "number" or one.unit is PER_S else one.unit.name
    label = one.title.removesuffix(unit).strip()
    if not label:  # a title such as samples/s is the unit
        label, unit = one.title, ""
    beside: list[str] = []
    ends = ends_of(one, values)
    trials = values.get("trials")
    if ends is not None and ends[0] != ends[1]:
        low, high = (text_of(one.unit, end) for end in ends)
        beside.append(f"{low} to {high} in {trials} trials")
    elif trials == 1 and one.has_spread:
        beside.append("1 trial")
    if samples is not None:
        beside.append(f"{samples} samples")
    companion = described.get(one.beside)
    if companion is not None and number_of(values.get(companion.name)) is not None:
        beside += _companion(one, companion, values)
    value = text_of(one.unit, values.get(one.name))
    return Tile(label, value, unit, ", ".join(beside))


def _companion(one: Description, companion: Description, values: Values) -> list[str]:
    text = companion.unit.text(values[companion.name])
    if one.beside_from is None:
        return [f"{text} {companion.title}"]
    number = number_of(values[companion.name])
    is_noteworthy = number is not None and number >= one.beside_from
    return [f"at most {text} too long"] if is_noteworthy else []
