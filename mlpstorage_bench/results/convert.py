"""pytest-benchmark's JSON → the files of a run: per-rank results, summary, metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import ResultFiles, Standing
from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.errors import InvalidFileError, InvalidInputError
from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.results.benchmark_document import BenchmarkDocument, NoDocumentError
from mlpstorage_bench.results.code_image import write_pointer
from mlpstorage_bench.results.json_files import read_json
from mlpstorage_bench.results.metadata import build_metadata
from mlpstorage_bench.results.record import KEY, RunRecord, parse_case, parse_record
from mlpstorage_bench.results.run_directory import whole_run_directory
from mlpstorage_bench.results.run_metadata import NoMetadataError, RunMetadata, metadata_of
from mlpstorage_bench.results.schema_2 import upgraded_document
from mlpstorage_bench.results.tree import RunLocation, write_json
from mlpstorage_bench.results.verification import reasons_against, verification_of


def locate(record: RunRecord, results_dir: Path, files: ResultFiles) -> RunLocation:
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
        files.has_command_level,
    )


def read_document(path: Path) -> BenchmarkDocument:
    """Read a JSON document of pytest-benchmark; InvalidInputError if it is not one."""
    file = InputFile("--mlps-convert", path, "a JSON file that pytest-benchmark wrote")
    content = upgraded_document(read_json(file))
    try:
        return BenchmarkDocument.of(content)
    except NoDocumentError as error:
        raise InvalidFileError.of(file, str(error)) from error


def write_run(
    document: BenchmarkDocument, record: RunRecord, location: RunLocation, files: ResultFiles
) -> RunMetadata:
    """Write all files of a run, the metadata last, and return the metadata."""
    cases = cases_of(document, record)
    standing = files.standing(cases, record.parameters, record.num_processes)
    written = [
        write_json(
            location.written_in / files.rank_result_path(case, rank, location.timestamp), rank
        )
        for case in cases
        for trial in case.trials
        for rank in trial.ranks
    ]
    written += [
        write_json(location.written_in / place, content)
        for place, content in files.further_files(
            cases,
            record.num_processes,
            None if record.filesystems is None else record.filesystems.model_dump(),
        )
    ]
    if record.system_info is not None:
        written.append(write_json(location.cluster_info_path, record.system_info))
    if record.status != "running":  # readers take a summary for the sign of a run's end
        summary = files.summarise(
            cases,
            directory=location.directory,
            npernode=record.npernode,
            host_count=len(record.hosts),
            total_ranks=record.num_processes,
            objections=reasons_against(record),
        )
        written.append(write_json(location.summary_path, summary))
    return _write_both(document, record, location, files, written, standing)


def checkpoint_run(
    document: BenchmarkDocument, record: RunRecord, location: RunLocation, files: ResultFiles
) -> RunMetadata:
    """Write the files of an unfinished run from which all others can be made; return the metadata.

    There is no summary: the reference takes a run for complete that has one and no exit status.
    """
    return _write_both(document, record, location, files, [], Standing())


def write_metadata_alone(record: RunRecord, location: RunLocation, files: ResultFiles) -> None:
    """Write the files of a run without tests: the pointer to the code, and the metadata."""
    if record.code_image is not None:
        write_pointer(location.written_in, record.code_image)
    of_type = files.metadata_fields(record.parameters, [])
    write_json(location.metadata_path, build_metadata(record, location.directory, [], of_type))


def _write_both(
    document: BenchmarkDocument,
    record: RunRecord,
    location: RunLocation,
    files: ResultFiles,
    written: Sequence[Path],
    standing: Standing,
) -> RunMetadata:
    """Write pytest-benchmark's JSON and, last of all, the metadata; return the metadata."""
    if record.code_image is not None:
        write_pointer(location.written_in, record.code_image)
    written = [*written, write_json(location.benchmark_json_path, document.content)]
    metadata = _metadata(document, record, location, files, written, standing)
    write_json(location.metadata_path, metadata)
    return metadata_of(metadata)


def _metadata(
    document: BenchmarkDocument,
    record: RunRecord,
    location: RunLocation,
    files: ResultFiles,
    written: Sequence[Path],
    standing: Standing,
) -> dict[str, object]:
    cases = cases_of(document, record)
    return build_metadata(
        record,
        location.directory,
        [path.relative_to(location.written_in) for path in written],
        files.metadata_fields(record.parameters, cases),
        cases,
        document.commit_info,
        files.metrics,
        verification_of(record, standing),
    )


def cases_of(document: BenchmarkDocument, record: RunRecord) -> list[CaseRecord]:
    """Return every case of a session, timed or not, in the order of execution."""
    timed = [
        parse_case(benchmark.fullname, benchmark.extra_info[KEY])
        for benchmark in document.benchmarks
        if KEY in benchmark.extra_info
    ]
    return sorted([*timed, *record.untimed_cases], key=lambda case: case.order)


def convert_file(
    path: Path, results_dir: Path, files_of: Callable[[str], ResultFiles]
) -> list[Path]:
    """Convert a JSON document of an earlier session, and return the metadata's path of each run.

    `files_of` returns the files of a benchmark type by its name.
    """
    document = read_document(path)
    try:
        runs = document.of_runs()
    except NoDocumentError as error:
        raise InvalidInputError(
            "--mlps-convert", str(path), "records of the session's runs", hint=str(error)
        ) from error
    return [_convert(path, one, results_dir, files_of) for one in runs]


def _convert(
    path: Path,
    document: BenchmarkDocument,
    results_dir: Path,
    files_of: Callable[[str], ResultFiles],
) -> Path:
    record = parse_record(str(path), document.record)
    files = files_of(record.benchmark_type)
    location = locate(record, results_dir, files)
    try:  # before anything is written: the document has parts of any type
        metadata_of(_metadata(document, record, location, files, [], Standing()))
    except NoMetadataError as error:
        raise InvalidInputError(
            "--mlps-convert",
            str(path),
            "JSON that pytest-benchmark wrote in a session of mlpstorage_bench",
            hint=f"It makes {error}",
        ) from error
    with whole_run_directory(location) as written:
        write_run(document, record, written, files)
    return location.metadata_path
