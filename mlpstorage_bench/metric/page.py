"""Page about metrics: Markdown that is generated from their declarations."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.metric.declaration import AnyMetric, Measured, Shown, declared_in

_HEADER = (
    *("metric", "unit", "meaning", "formula", "over ranks", "over trials"),
    *("better", "gate", "shown in"),
)
_SHOWN = {
    Shown.DETAIL: "JSON",
    Shown.REPORT: "reports",
    Shown.HEADLINE: "terminal, reports",
    Shown.LISTS: "lists of runs, terminal, reports",
}


def metrics_page(groups: Sequence[type[Measured]]) -> str:
    """Return a section with a table for each subject; its title is the class's docstring."""
    return "\n".join(_section(group) for group in groups)


def _section(group: type[Measured]) -> str:
    title = (group.__doc__ or group.__name__).splitlines()[0].rstrip(".")
    rows = [_row(metric) for metric in declared_in(group)]
    lines = [_line(_HEADER), "|" + "---|" * len(_HEADER), *map(_line, rows)]
    return "\n".join([f"## {title}", "", *lines, ""])


def _row(metric: AnyMetric) -> tuple[str, ...]:
    names = [f"`{metric.name}`", *(f"(or `{alias}`)" for alias in metric.aliases)]
    return (
        " ".join(names),
        metric.unit.name,
        metric.meaning,
        metric.formula,
        metric.of.rule,
        metric.across_trials.rule,
        metric.better or "",
        metric.gate,
        _SHOWN[metric.shown],
    )


def _line(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
