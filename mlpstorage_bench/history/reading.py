"""Reading of one metadata file: the run, all measured numbers, and their descriptions.

Files are ours or the reference's, of any benchmark type; the reference's have no `mlpstorage` part.
Files of a former schema version are read as those of today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import InvalidFileError, MlpsError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.history.cache_directories import of_metadata
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastCase, PastRun
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf, is_summary
from mlpstorage_bench.leaves.place import TIMESTAMP, place_of
from mlpstorage_bench.leaves.reference_run import leaf_of, with_files, without_metadata
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.metric.values import Values, numbers_of
from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.results.json_files import read_json
from mlpstorage_bench.results.metadata_parts import CaseFacts
from mlpstorage_bench.results.run_metadata import NoMetadataError, RunMetadata, metadata_of
from mlpstorage_bench.results.schema_2 import upgraded_metadata
from mlpstorage_bench.results.tree import METADATA_SUFFIX

ALL_TRIALS = 0
"""Trial number of metrics over all trials of a case."""
WHOLE_RUN = "run"
"""Case of metrics without a case: the reference has no cases."""
DISTURBED = "disturbed"
"""The gate's verdict on a metric that something else than the storage changed."""
_UNKNOWN_COMMIT = frozenset({"unversioned", "unknown", "(unknown)", "(detached head)"})
"""Values of pytest-benchmark outside of a repository."""


class Measured(NamedTuple):
    """One number."""

    case: str
    trial: int
    """Number from 1; ALL_TRIALS for all of them together."""
    metric: str
    value: float


@dataclass(frozen=True)
class RunFile:
    """Content of a metadata file."""

    run: PastRun
    measured: tuple[Measured, ...]
    described: Mapping[str, Description]
    """Descriptions of metrics by name, in the order of tables."""


class NoRunError(MlpsError):
    """A file is not a run's metadata, or cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = for_terminal(reason)
        super().__init__(for_terminal(f"{path}: {reason}"))


def read_document(path: Path) -> Json:
    """Return all content of a run's file, as JSON of the current schema; NoRunError if none."""
    content, _ = _read(path)
    return content


def read_metadata(path: Path, *, with_trials: bool = False) -> RunMetadata:
    """Return the metadata in a run's file; NoRunError if it is another file.

    That of the reference gets the figures of the files beside it; `with_trials`, also those of each
    trial, from the files of ranks.
    """
    content, metadata = _read(path)
    if metadata is None:
        place = place_of(path.absolute().parent)
        if place is None:
            raise NoRunError(path, "no run's metadata, and in no directory of a results tree")
        return without_metadata(Leaf(path.absolute().parent, place), with_trials=with_trials)
    if not metadata.is_of_reference:
        return metadata
    leaf = leaf_of(path.parent, metadata)
    return with_files(metadata, Document(content, path), leaf, with_trials=with_trials)


def _read(path: Path) -> tuple[Json, RunMetadata | None]:
    """Return the content of a file, and the metadata that it is; None for a summary."""
    try:
        content = upgraded_metadata(read_json(InputFile("metadata", path)))
        if isinstance(content, dict) and is_summary(path.name):
            return content, None
        metadata = metadata_of(content)
    except InvalidFileError as error:
        raise NoRunError(path, error.problem) from error
    except NoMetadataError as error:
        raise NoRunError(path, str(error)) from error
    assert isinstance(content, dict)  # as it has been validated
    return content, metadata


def read_run(path: Path) -> RunFile:
    """Return the run in a metadata file; NoRunError if it is another file."""
    return run_of(read_metadata(path), path)


def run_of(metadata: RunMetadata, path: Path) -> RunFile:
    """Return the run that a file's metadata describes."""
    described = descriptions_of(metadata)
    listed = [one.name for one in described.values() if one.shown >= Shown.LISTS]
    return RunFile(_run(metadata, path, listed), tuple(_measured(metadata)), described)


def _run(metadata: RunMetadata, path: Path, listed: Sequence[str]) -> PastRun:
    own, reference = metadata.own, metadata.reference
    word = (metadata.verification or "").lower()
    return PastRun(
        run_id=own.run_id or _timestamp(path),
        started=metadata.started,
        benchmark_type=metadata.benchmark_type,
        model=metadata.model,
        command=metadata.command,
        mode=own.mode or (word if word in ("closed", "open") else "-"),
        systemname=own.systemname,
        num_processes=metadata.num_processes,
        hosts=metadata.hosts,
        status=own.status,
        tests_passed=(own.status == "passed" if own.tests_passed is None else own.tests_passed),
        gate_verdict=own.gate.verdict,
        process_id=own.process_id,
        process_start=own.process_start,
        runtime_s=metadata.runtime,
        tags=own.tags,
        system_fingerprint=own.system_fingerprint,
        commit=_known(own.commit_info.id),
        branch=_known(own.commit_info.branch),
        cases=tuple(_cases(metadata, listed)),
        file=str(path),
        cache_directories=of_metadata(metadata),
        is_invalid=metadata.verification == "INVALID",
        is_of_reference=metadata.is_of_reference,
        host_count=None if reference is None else reference.host_count,
        ranks_found=None if reference is None else reference.ranks_found,
    )


def _timestamp(path: Path) -> str:
    """Return the time that names the directory of a run of the reference, or else its file."""
    if TIMESTAMP.fullmatch(path.parent.name):
        return path.parent.name
    return "_".join(path.name.removesuffix(METADATA_SUFFIX).split("_")[-2:])


def _cases(metadata: RunMetadata, listed: Sequence[str]) -> Iterator[PastCase]:
    """Yield all cases; a failed case has trials but no metrics."""
    facts, values_by_case = metadata.cases, metadata.values_by_case
    gate = metadata.own.gate
    # old metadata without a verdict also lists cases without any earlier run
    refusals = {} if gate.verdict is None else gate.refusals
    disturbed = {one.case for one in metadata.own.verdicts if one.verdict == DISTURBED}
    nothing: Values = {}
    for name in dict.fromkeys([*metadata.all_metrics, *facts]):
        values = values_by_case.get(name, nothing)
        if name not in facts and not any(metric in values for metric in listed):
            continue
        case = facts.get(name, _NO_FACTS)
        numbers = numbers_of({metric: values.get(metric) for metric in listed})
        yield PastCase(
            name=name,
            test=case.test,
            workload_fingerprint=case.workload_fingerprint,
            is_refused=name in refusals,
            is_disturbed=name in disturbed,
            listed={metric: float(number) for metric, number in numbers.items()},
        )


_NO_FACTS = CaseFacts()


def _measured(metadata: RunMetadata) -> Iterator[Measured]:
    for metric, value in metadata.numbers.items():
        yield Measured(WHOLE_RUN, ALL_TRIALS, metric, float(value))
    for name, values in metadata.values_by_case.items():
        for metric, value in numbers_of(values).items():
            yield Measured(name, ALL_TRIALS, metric, float(value))
    for name, case in metadata.cases.items():
        for trial in case.trials:
            for metric, value in trial.metrics.items():
                yield Measured(name, trial.trial, metric, value)


def _known(value: str | None) -> str | None:
    return None if value is None or value.lower() in _UNKNOWN_COMMIT else value
