"""The gate's verdicts as a table in the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_markdown, for_terminal
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.github import summary_file
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.result import (
    MOST_DISTURBED_IN_A_ROW,
    NOT_COMPARED,
    PASSED,
    GateResult,
)
from mlpstorage_bench.gate.wording import change_in_words, interval_in_words, ratio_of
from mlpstorage_bench.paths import is_directory, starts_with
from mlpstorage_bench.report.markdown import MARKDOWN_BEGINNING
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.units import counted

REPORT_OPTION = "--mlps-gate-report"
GATE_TABLE_WIDTH = 132
"""Least width of the table, in columns of the terminal."""
_WRITER = {"written_by": "mlpstorage_bench"}
_JSON_BEGINNING = json.dumps(_WRITER, indent=2).removesuffix("\n}")
"""First characters of an own report, which may be overwritten."""
_ORDER = (
    Verdict.REGRESSED,
    Verdict.DISTURBED,
    Verdict.UNDECIDED,
    Verdict.COLLECTING,
    Verdict.IMPROVED,
    Verdict.PASSED,
)
_COLUMNS = (
    *("case", "metric", "rule", "baseline median", "run median", "change"),
    *("99 % interval", "verdict"),
)


def gate_table(result: GateResult) -> Table:
    """Return the table: a line for each metric, the most severe verdict first."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for number, column in enumerate(_COLUMNS):
        table.add_column(column, justify="left" if number in (0, 1, 2, 7) else "right")
    for one in ordered(result):
        table.add_row(*map(for_terminal, _cells(one)))
    return table


def gate_lines(result: GateResult) -> list[str]:
    """Return the lines below the table: reasons, the summary, and the next step."""
    lines = [
        f"{one.verdict}: {one.case}, {one.metric}: {one.reason}"
        for one in ordered(result)
        if one.verdict not in _STATED_TOGETHER
    ]
    for verdict in (Verdict.DISTURBED, Verdict.UNDECIDED):
        lines += _together(result, verdict)
    lines += [*_left_out(result), *_warnings(result), *_together(result, Verdict.COLLECTING)]
    lines += [f"{NOT_COMPARED}: case {case}: {reason}" for case, reason in result.refusals.items()]
    lines += [*_not_judged(result), *_unused_rules(result)]
    lines += [f"note: {remark}" for remark in result.remarks]
    look = f", look {result.look} of at most {result.looks}" if result.looks > 1 else ""
    across = "; including other workloads and systems" if result.across else ""
    lines.append(f"gate: {result.summary} (against {result.baseline}{look}{across})")
    if result.next_step:
        lines.append(f"next: {result.next_step}")
    return [for_terminal(line) for line in lines]


_STATED_TOGETHER = (*(Verdict.PASSED, Verdict.COLLECTING, Verdict.DISTURBED, Verdict.UNDECIDED),)
"""Verdicts without a line for each metric."""


def _warnings(result: GateResult) -> list[str]:
    """Return a warning for each kind of metric that was not decided and does not fail."""
    undecided = [
        one for one in result.news(Verdict.UNDECIDED) if not (one.is_short or result.fails(one))
    ]
    lines = []
    if undecided:
        lines.append(
            f"warning: {_are(len(undecided), 'metric')} undecided: a loss was neither shown nor "
            f"ruled out. {_passes(result)}; with --mlps-gate-undecided=fail it fails"
        )
    if short := result.short_cases:
        cases = f"case {short[0]} has" if len(short) == 1 else f"cases {', '.join(short)} have"
        lines.append(
            f"warning: {cases} too few trials: however many runs there are, none is compared"
        )
    lines += [_disturbed_case(result, case) for case in _cases_disturbed(result)]
    return lines


def _cases_disturbed(result: GateResult) -> list[str]:
    return sorted({one.case for one in result.with_verdict(Verdict.DISTURBED)})


def _disturbed_case(result: GateResult, case: str) -> str:
    """Return how much of a case was not judged, and whether that fails the session."""
    row, most = result.disturbed_in_a_row(case), MOST_DISTURBED_IN_A_ROW
    of_case = [one for one in result.verdicts if one.case == case]
    metrics = [one.metric for one in of_case if one.verdict is Verdict.DISTURBED]
    is_whole = len(metrics) == len(of_case)
    judged = "not judged" if is_whole else f"judged only in part (not {', '.join(metrics)})"
    of = f"case {case} was {judged}, as it was disturbed in this run"
    before = "run" if row == 2 else f"{row - 1} runs"  # noqa: PLR2004 - this one and another
    of += f" and in the {before} before" if row > 1 else ""
    if result.failure_rules.disturbed:
        return f"error: {of} (--mlps-gate-disturbed=error)"
    if row > most:
        return f"error: {of}: a gate that judges nothing is no gate"
    third = f"the {_ordinal(most + 1)} disturbed run in a row fails"
    return f"warning: {of}. {_passes(result)}; {third}"


def _passes(result: GateResult) -> str:
    is_passed = result.exit_status == PASSED
    return "The session passes" if is_passed else "That is not why the session fails"


def _left_out(result: GateResult) -> list[str]:
    """Return a line for each case of which disturbed trials were left out, and others judged."""
    not_judged = {one.case for one in result.with_verdict(Verdict.DISTURBED)}
    return [
        f"note: {case}: {_were(len(one.trials), 'trial')} disturbed "
        f"({', '.join(map(str, one.trials))}): {'; '.join(one.causes)}. These trials are in no "
        "baseline"
        for case, one in result.disturbances.items()
        if one.trials and case not in not_judged
    ]


def _not_judged(result: GateResult) -> list[str]:
    """Return a line for each reason for which rules of cases are not judged."""
    names: dict[str, list[str]] = {}
    for one in result.not_judged:
        names.setdefault(one.reason, []).append(f"{one.case} {one.rule.metric}")
    return [f"not judged: {reason}: {', '.join(of)}" for reason, of in names.items()]


def _unused_rules(result: GateResult) -> list[str]:
    """Return a line for each rule that judges nothing, and whether that fails the session."""
    if result.fails_by_rules:
        return [f"error: {one}" for one in result.unused_rules]
    passes = f"{_passes(result)}; with --mlps-gate-undecided=fail it fails"
    return [f"warning: {one}. {passes}" for one in result.unused_rules]


def _are(count: int, what: str) -> str:
    return f"{counted(count, what)} {'is' if count == 1 else 'are'}"


def _were(count: int, what: str) -> str:
    return f"{counted(count, what)} {'was' if count == 1 else 'were'}"


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _together(result: GateResult, verdict: Verdict) -> list[str]:
    """Return a line for each reason of a verdict, with its cases or metrics."""
    cases = {one.case for one in result.verdicts}
    all_of_case = {case for case in cases if _is_one_reason(result, case)}
    names: dict[str, dict[str, None]] = {}
    for one in result.with_verdict(verdict):
        name = f"case {one.case}" if one.case in all_of_case else f"{one.case} {one.metric}"
        names.setdefault(one.reason, {})[name] = None
    return [f"{verdict}: {reason}: {', '.join(of)}" for reason, of in names.items()]


def _is_one_reason(result: GateResult, case: str) -> bool:
    """Return whether all metrics of a case have the same verdict for the same reason."""
    of_case = [one for one in result.verdicts if one.case == case]
    return len({(one.verdict, one.reason) for one in of_case}) == 1


def as_markdown(result: GateResult) -> str:
    """Return a Markdown section: the table and the lines below it."""
    rows = [f"| {' | '.join(_COLUMNS)} |", "|" + " --- |" * len(_COLUMNS)]
    rows += [f"| {' | '.join(map(for_markdown, _cells(one)))} |" for one in ordered(result)]
    lines = [f"- {for_markdown(line)}" for line in gate_lines(result)]
    return "\n".join([f"## Gate: run {for_markdown(result.run_id)}", "", *rows, "", *lines, ""])


def write_gate_report(result: GateResult, path: Path) -> None:
    """Write the verdicts to FILE.json or FILE.md, atomically; InvalidInputError on failure."""
    if path.suffix == ".json":
        text = json_text({**_WRITER, **result.to_record().model_dump(mode="json")})
    else:
        text = MARKDOWN_BEGINNING + as_markdown(result)
    write_named(REPORT_OPTION, path, text)


def append_step_summary(result: GateResult, environ: Mapping[str, str]) -> list[str]:
    """Append the verdicts to the summary of a step in CI; return a remark if that fails.

    The file is the CI's, not the user's: the session does not fail for it.
    """
    summary = summary_file(environ)
    if summary is None:
        return []
    try:
        with summary.open("a", encoding="utf-8") as file:
            file.write(as_markdown(result))
    except OSError as error:
        return [f"the step's summary {summary} was not written: {error.strerror}"]
    return []


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
    if judgement is not None and (ratio := ratio_of(judgement)) is not None:
        change = change_in_words(ratio, unit)
    if judgement is not None and judgement.interval is not None:
        sign = 1 if one.rule.higher_is_better else -1
        low, high = sorted(1 + sign * effect for effect in judgement.interval)
        interval = interval_in_words(low, high, unit)
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
