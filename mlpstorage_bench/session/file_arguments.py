"""Check of the files that options and the plan name, before any test runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.gate.baseline_choice import BASELINE_OPTION, parse_choice
from mlpstorage_bench.launch.hosts import HOSTS_OPTION
from mlpstorage_bench.options.settings import GateSettings, Settings
from mlpstorage_bench.paths import ForeignOutput, InputFile, OutputFile, check_outputs, slugify
from mlpstorage_bench.report.gate_report import REPORT_OPTION as GATE_REPORT_OPTION
from mlpstorage_bench.report.gate_report import is_own_gate_report
from mlpstorage_bench.report.render import REPORT_OPTION, is_own_report
from mlpstorage_bench.session.type_requests import profile_files

PROFILE_OPTION = "--mlps-profile"


def check_files(
    settings: Settings,
    plan: Plan,
    rank: int,
    ranks: int,
    most_trials: Callable[[int], int],
    pytests: Sequence[tuple[str, Path]],
    path_of: Callable[[Path], Path] = lambda path: path,
) -> None:
    """Raise InvalidInputError if a rank would overwrite an input, or a file of other content.

    Only rank 0 writes reports and exports. `most_trials` returns how many trials a case may have,
    of the number that is planned; `pytests` are options and paths of the files that pytest writes
    on rank 0, and `path_of` returns the path of the run's own file for a report or an export.
    """
    outputs = plan.output_files(rank, ranks, most_trials)
    beside: list[ForeignOutput] = []
    if rank == 0:
        beside = [ForeignOutput(option, path) for option, path in pytests]
        outputs += _files_of_run(settings, path_of)
    inputs = [
        *(InputFile(PROFILE_OPTION, path) for path in profile_files(settings)),
        *_host_files(settings.host_words),
        *_gate_inputs(settings.gate),
        *plan.input_files(),
    ]
    check_outputs(outputs, inputs, beside)


def file_of_run(path: Path, benchmark_type: str, model: str, number: int | None = None) -> Path:
    """Return the path of a run's file where a session has several runs.

    `number` is the run's among those of its type and model, from 1; None if it is the only one.
    """
    suffix = "" if number is None else f"-{number}"
    return path.with_stem(f"{path.stem}-{benchmark_type}-{slugify(model)}{suffix}")


def files_of_runs(path: Path, runs: Sequence[tuple[str, str]]) -> list[Path]:
    """Return the path of each run's file; `runs` are their types and models, in their order."""
    if len(runs) == 1:
        return [path]
    return [
        file_of_run(path, *one, runs[: place + 1].count(one) if runs.count(one) > 1 else None)
        for place, one in enumerate(runs)
    ]


def check_files_of_run(settings: Settings, path_of: Callable[[Path], Path]) -> None:
    """Raise InvalidInputError if a file of a run would overwrite one of other content.

    It is called before they are written: how many runs a session has is known at its end alone.
    """
    check_outputs(_files_of_run(settings, path_of), [])


def _files_of_run(settings: Settings, path_of: Callable[[Path], Path]) -> list[OutputFile]:
    reports = [
        OutputFile(REPORT_OPTION, path_of(path), is_own_report, is_replaced=True)
        for path in settings.reports
    ]
    exports = [replace(one, path=path_of(one.path)).as_output() for one in settings.exports]
    return [*reports, *exports, *_gate_outputs(settings.gate, path_of)]


def check_gate_files(settings: GateSettings, run: Path) -> None:
    """Raise InvalidInputError if a gate report would overwrite an input or a file of other content.

    `run` is the metadata file of the earlier run that is judged.
    """
    check_outputs(_gate_outputs(settings), [InputFile("--mlps-gate", run), *_gate_inputs(settings)])


def _gate_outputs(
    settings: GateSettings, path_of: Callable[[Path], Path] = lambda path: path
) -> list[OutputFile]:
    return [
        OutputFile(GATE_REPORT_OPTION, path_of(path), is_own_gate_report, is_replaced=True)
        for path in settings.reports
    ]


def _gate_inputs(settings: GateSettings) -> list[InputFile]:
    if settings.baseline is None:
        return []
    choice = parse_choice(settings.baseline)
    return [InputFile(BASELINE_OPTION, Path(choice.name))] if choice.kind == "file" else []


def _host_files(values: Sequence[str]) -> list[InputFile]:
    return [InputFile(HOSTS_OPTION, Path(value[1:])) for value in values if value.startswith("@")]
