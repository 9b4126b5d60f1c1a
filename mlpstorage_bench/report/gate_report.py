"""The gate's verdicts as a table in the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_markdown, for_terminal
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.verdicts import NOT_COMPARED, GateResult, MetricVerdict
from mlpstorage_bench.paths import is_directory, starts_with
from mlpstorage_bench.report.render import MARKDOWN_BEGINNING
from mlpstorage_bench.results.json_files import json_text

REPORT_OPTION = "--mlps-gate-report"
GATE_TABLE_WIDTH = 120
"""Least width of the table, in columns of the terminal."""
_WRITER = {"written_by": "mlpstorage_bench"}
_JSON_BEGINNING = json.dumps(_WRITER, indent=2).removesuffix("\n}")
"""First characters of an own report, which may be overwritten."""
_ORDER = (
    Verdict.REGRESSED,
    Verdict.UNDECIDED,
    Verdict.COLLECTING,
    Verdict.IMPROVED,
    Verdict.PASSED,
)
_NEW_BASELINE = (
    "If the system or the workload was changed on purpose, run once without the gate's options: "
    "that run starts a new baseline"
)
_COLUMNS = ("case", "metric", "rule", "baseline", "this run", "change", "99 % interval", "verdict")


def gate_table(result: GateResult) -> Table:
    """Return the table: a line for each metric, the most severe verdict first."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for number, column in enumerate(_COLUMNS):
        table.add_column(column, justify="left" if number in (0, 1, 2, 7) else "right")
    for one in ordered(result):
        table.add_row(*map(for_terminal, _cells(one)))
    return table


def gate_lines(result: GateResult) -> list[str]:
    """Return the lines below the table: reasons of verdicts, and cases that were not compared."""
    lines = [
        f"{one.verdict}: {one.case}, {one.metric}: {one.reason}"
        for one in ordered(result)
        if one.verdict not in (Verdict.PASSED, Verdict.COLLECTING)
    ]
    lines += [*_warning(result), *_collecting(result)]
    lines += [f"{NOT_COMPARED}: {case}: {reason}" for case, reason in result.refusals.items()]
    if result.refusals:
        lines.append(_NEW_BASELINE)
    look = f", look {result.look} of at most {result.looks}" if result.looks > 1 else ""
    across = "; including other workloads and systems" if result.across else ""
    lines.append(f"gate: {result.summary} (against {result.baseline}{look}{across})")
    return [for_terminal(line) for line in lines]


def _warning(result: GateResult) -> list[str]:
    """Return the warning about undecided metrics if they do not fail the session."""
    count = len(result.with_verdict(Verdict.UNDECIDED))
    if not count or result.undecided_fails:
        return []
    metrics = "1 metric is" if count == 1 else f"{count} metrics are"
    warning = f"warning: {metrics} undecided: a loss was neither shown nor ruled out."
    return [f"{warning} The session passes; with --mlps-gate-undecided=fail it fails"]


def _collecting(result: GateResult) -> list[str]:
    """Return the progress of baselines: a line for each number, with its cases or metrics."""
    all_of_case = {
        case for case in {one.case for one in result.verdicts} if _is_one_collection(result, case)
    }
    names: dict[str, dict[str, None]] = {}
    for one in result.with_verdict(Verdict.COLLECTING):
        name = one.case if one.case in all_of_case else f"{one.case} {one.metric}"
        names.setdefault(one.reason, {})[name] = None
    return [f"{Verdict.COLLECTING}: {reason}: {', '.join(of)}" for reason, of in names.items()]


def _is_one_collection(result: GateResult, case: str) -> bool:
    """Return whether all metrics of a case are collecting and have the same progress."""
    of_case = [one for one in result.verdicts if one.case == case]
    return len({(one.verdict, one.reason) for one in of_case}) == 1


def as_markdown(result: GateResult) -> str:
    """Return a Markdown section: the table and the lines below it."""
    rows = [f"| {' | '.join(_COLUMNS)} |", "|" + " --- |" * len(_COLUMNS)]
    rows += [f"| {' | '.join(map(for_markdown, _cells(one)))} |" for one in ordered(result)]
    lines = [f"- {for_markdown(line)}" for line in gate_lines(result)]
    return "\n".join([f"## Gate: run {for_markdown(result.run_id)}", "", *rows, "", *lines, ""])


def write_gate_report(result: GateResult, path: Path) -> None:
    """Write the verdicts to FILE.json or FILE.md; OSError on failure."""
    if path.suffix == ".json":
        content = {**_WRITER, **result.to_dict()}
        path.write_text(json_text(content), encoding="utf-8")
    else:
        path.write_text(MARKDOWN_BEGINNING + as_markdown(result), encoding="utf-8")


def is_own_gate_report(path: Path) -> bool:
    """Return whether a file is a report that an earlier run wrote."""
    beginning = _JSON_BEGINNING if path.suffix == ".json" else MARKDOWN_BEGINNING
    return starts_with(beginning.encode())(path)


def check_report_path(path: Path) -> Path:
    """Return the path; InvalidInputError if its suffix or its directory is not usable."""
    if path.suffix not in (".json", ".md"):
        raise InvalidInputError(REPORT_OPTION, str(path), "a file name in .json or .md")
    if not is_directory(REPORT_OPTION, path.parent):
        raise InvalidInputError(REPORT_OPTION, str(path), "a file in a directory that exists")
    return path


def ordered(result: GateResult) -> list[MetricVerdict]:
    """Return the verdicts, the most severe first."""
    return sorted(result.verdicts, key=lambda one: _ORDER.index(one.verdict))


def _cells(one: MetricVerdict) -> tuple[str, ...]:
    judgement, unit = one.judgement, one.rule.unit
    baseline = change = interval = "-"
    if judgement is not None and judgement.baseline_median is not None:
        spread = judgement.baseline_spread
        spread_text = "" if spread is None else f" ±{spread:.0%}"
        baseline = f"{judgement.baseline_median:.4g}{spread_text} ({len(one.baseline_runs)})"
    if judgement is not None and judgement.effect is not None:
        change = f"{judgement.effect:+.1%}"
    if judgement is not None and judgement.interval is not None:
        low, high = judgement.interval
        interval = f"{low:+.1%} to {high:+.1%}"
    value = "-" if one.value is None else f"{one.value:.4g} {unit} ({one.trials})"
    return (
        one.case,
        one.metric,
        str(one.rule),
        baseline,
        value,
        change,
        interval,
        one.verdict.value,
    )
