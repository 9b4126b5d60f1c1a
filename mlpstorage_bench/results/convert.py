"""pytest-benchmark's JSON → the files of a run: per-rank results, summary, metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type import CaseRecord, Json, ResultFiles, TrialRecord
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.results.metadata import build_metadata
from mlpstorage_bench.results.record import KEY, RunRecord, parse_case, parse_record
from mlpstorage_bench.results.schema_1 import upgraded_document
from mlpstorage_bench.results.tree import Document, RunLocation, write_json


def locate(record: RunRecord, results_dir: Path) -> RunLocation:
    """Return the location of a run's files."""
    return RunLocation(
        results_dir,
        record.mode,
        record.orgname,
        record.systemname,
        record.benchmark_type,
        record.model,
        record.command,
        record.timestamp,
    )


def read_document(path: Path) -> Document:
    """Read a JSON document of pytest-benchmark; InvalidInputError if it is not one."""
    accepted = "a JSON file that pytest-benchmark wrote"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInputError("--mlps-convert", str(path), accepted, hint=str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("benchmarks"), list):
        raise InvalidInputError(
            "--mlps-convert", str(path), accepted, hint="It has no list 'benchmarks'"
        )
    return document


def write_run(
    document: Document, record: RunRecord, location: RunLocation, files: ResultFiles
) -> Document:
    """Write all files of a run, the metadata last, and return the metadata."""
    cases = cases_of(document, record)
    written = [
        write_json(location.directory / _rank_path(files, location, case, trial, rank), rank)
        for case in cases
        for trial in case.trials
        for rank in trial.ranks
    ]
    summary = files.summarise(
        cases,
        run_datetime=record.run_datetime,
        npernode=record.npernode,
        host_count=len(record.hosts),
        total_ranks=record.num_processes,
    )
    summary_path = location.directory / files.summary_name(record.timestamp)
    written.append(write_json(summary_path, summary))
    return _write_both(document, record, location, files, written)


def checkpoint_run(
    document: Document, record: RunRecord, location: RunLocation, files: ResultFiles
) -> None:
    """Write the files of an unfinished run from which all others can be made."""
    _write_both(document, record, location, files, [])


def _write_both(
    document: Document,
    record: RunRecord,
    location: RunLocation,
    files: ResultFiles,
    written: Sequence[Path],
) -> Document:
    """Write pytest-benchmark's JSON and, last of all, the metadata; return the metadata."""
    cases = cases_of(document, record)
    metadata = build_metadata(
        record,
        location.directory,
        [*written, write_json(location.benchmark_json_path, document)],
        files.metadata_fields(record.parameters, cases),
        cases,
        document.get("commit_info"),
        files.metrics,
    )
    write_json(location.metadata_path, metadata)
    return metadata


def cases_of(document: Document, record: RunRecord) -> list[CaseRecord]:
    """Return every case of a session, timed or not, in the order of execution."""
    timed = [
        parse_case(str(benchmark.get("fullname")), benchmark["extra_info"][KEY])
        for benchmark in document["benchmarks"]
        if KEY in benchmark.get("extra_info", {})
    ]
    return sorted([*timed, *record.untimed_cases], key=lambda case: case.order)


def _rank_path(
    files: ResultFiles,
    location: RunLocation,
    case: CaseRecord,
    trial: TrialRecord,
    rank: Json,
) -> str:
    name, number = check_path_component("case", case.case), rank.get("rank")
    if not isinstance(number, int):
        raise InvalidInputError(f"rank in trial {trial.trial} of case {name}", number, "its number")
    return files.rank_result_path(name, trial.trial, number, location.timestamp)


def convert_file(path: Path, results_dir: Path, files_of: Callable[[str], ResultFiles]) -> Path:
    """Convert a JSON document of an earlier session, and return the metadata's path.

    `files_of` returns the files of a benchmark type by its name.
    """
    document = upgraded_document(read_document(path))
    record = parse_record(str(path), document)
    location = locate(record, results_dir)
    write_run(document, record, location, files_of(record.benchmark_type))
    return location.metadata_path
