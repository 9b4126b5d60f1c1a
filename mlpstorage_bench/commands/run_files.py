"""Files of earlier runs: `--mlps-report` and `--mlps-export` beside `--mlps-history`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench import registry
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.export.write import (
    EXPORT_OPTION,
    Export,
    check_format,
    parse_exports,
    write_export,
)
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.options.settings import check_reports
from mlpstorage_bench.paths import OutputFile, check_outputs
from mlpstorage_bench.report.history_report import build_history_report
from mlpstorage_bench.report.page import Page
from mlpstorage_bench.report.render import (
    REPORT_OPTION,
    check_renderer,
    is_own_report,
    write_report,
)
from mlpstorage_bench.report.run_figures import read_figures
from mlpstorage_bench.report.run_history import trends_until
from mlpstorage_bench.report.run_report import NO_FIGURES, RunFigures, build_report
from mlpstorage_bench.results.run_metadata import RunMetadata


@dataclass(frozen=True)
class RunFiles:
    """Files that are written of runs, in place of a page of text."""

    reports: tuple[Path, ...]
    exports: tuple[Export, ...]

    def __bool__(self) -> bool:
        return bool(self.reports or self.exports)

    def write(self, history: History, metadata: RunMetadata, file: Path) -> Iterator[str]:
        """Write the files of the run whose metadata this file has, and yield a line for each.

        InvalidInputError on failure.
        """
        if self.reports:
            trends = trends_until(history, metadata)
            yield from self.write_page(build_report(metadata, _figures(metadata, file), trends))
        for export in self.exports:
            yield f"export: {write_export(export, metadata)}"

    def write_history(self, history: History, runs: Sequence[PastRun]) -> Iterator[str]:
        """Write reports of several runs, and yield a line for each."""
        if self.reports:
            yield from self.write_page(build_history_report(history, runs))

    def write_page(self, page: Page) -> Iterator[str]:
        """Write reports with this content, and yield a line for each."""
        for path in self.reports:
            yield f"report: {write_report(path, page)}"

    def outputs(self) -> list[OutputFile]:
        """Return the files, to be checked together before any of them is written."""
        reports = [
            OutputFile(REPORT_OPTION, path, is_own_report, is_replaced=True)
            for path in self.reports
        ]
        return [*reports, *(export.as_output() for export in self.exports)]


def _figures(metadata: RunMetadata, file: Path) -> RunFigures:
    """Return the figures of a run of ours; those of other programs' runs are not known."""
    if metadata.is_of_reference:
        return NO_FIGURES
    return read_figures(file, registry.load(metadata.benchmark_type))


def refuse_without_run(known: argparse.Namespace, run_id: str) -> None:
    """Raise InvalidInputError if figures are to be exported, and no run is named."""
    if known.mlps_export and not run_id:
        raise InvalidInputError(
            EXPORT_OPTION,
            " ".join(known.mlps_export),
            "one run, which --mlps-history=ID or --mlps-history=latest names",
        )


def files_of(known: argparse.Namespace) -> RunFiles:
    """Return the files to which the run is to be written; InvalidInputError for unusable ones."""
    files = RunFiles(check_reports(known.mlps_report or ()), parse_exports(known.mlps_export or ()))
    check_outputs(files.outputs(), [])
    for path in files.reports:
        check_renderer(path)
    for export in files.exports:
        check_format(export)
    return files
