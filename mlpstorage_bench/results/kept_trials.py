"""Finished trials of a run that goes on, in its directory: a run that was interrupted uses them.

After each trial, the results of its ranks are written where they stay, and then a record with
their digests and with what the benchmark type needs to pool the trial with others. A trial without
a record, or whose files differ from it, is not finished. The records are removed when the run ends.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import xxhash
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from mlpstorage_bench.benchmark_type.interface import ResultFiles
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json, TrialRecord
from mlpstorage_bench.errors import InvalidFileError, InvalidInputError, ResultsError
from mlpstorage_bench.inputs.files import read_bytes
from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.process.removal import NO_LOCKS, remove_named
from mlpstorage_bench.redaction.text import redact_json
from mlpstorage_bench.results.json_files import MOST_BYTES, json_text, parse_json
from mlpstorage_bench.results.tree import RunLocation, remove_files, write_json, write_text

DIRECTORY = ".mlps-trials"
"""Name of the directory in a run's directory."""
_IDENTITY = "run.json"
_LOCK = "lock"
_OWN_NAMES = r"[A-Za-z0-9._-]+"
_COMPONENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")
"""Name of a directory or file in the place of a rank's result."""


class _Record(BaseModel):
    """Record of one finished trial."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: str
    """Node id of the test that ran it."""
    workload_fingerprint: str | None
    ended: AwareDatetime
    runtime_s: float
    """Seconds of the run until then."""
    files: dict[str, str]
    """Path of each rank's result in the run's directory, in rank order, and its digest."""
    state: dict[str, Any]


@dataclass(frozen=True)
class KeptTrial:
    """A finished trial."""

    ranks: tuple[Json, ...]
    """Each rank's result in full."""
    state: Json
    """The part that the benchmark type has stored."""
    pause_after: Json | None = None
    """The step that followed it, as `keep_pause` was given it; None if it did not complete."""


@dataclass(frozen=True)
class LastTrial:
    """When the newest finished trial ended."""

    ended: datetime
    runtime_s: float
    """Seconds of the run until then."""


class KeptTrials:
    """The finished trials in a run's directory; used by one process at a time."""

    def __init__(self, directory: Path) -> None:
        self._run = directory
        self._directory = directory / DIRECTORY
        self._lock: int | None = None

    @property
    def directory(self) -> Path:
        """The directory of the records."""
        return self._directory

    def claim(self, source: str, run_id: str) -> None:
        """Lock the records for this process; InvalidInputError if another one has them.

        ResultsError if they cannot be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._directory.mkdir(exist_ok=True)
            self._lock = os.open(self._directory / _LOCK, flags, 0o666)
        except OSError as error:
            raise ResultsError(str(self._directory), error.strerror or str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise InvalidInputError(
                    source, run_id, "a run that no other process continues"
                ) from error

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # the run

    def write_identity(self, identity: Json) -> None:
        """Write what has to be equal where the run is continued."""
        write_json(self._directory / _IDENTITY, identity)

    def read_identity(self, source: str) -> Json | None:
        """Return what `write_identity` has written; None if there is none that can be read."""
        content = _read(source, self._directory / _IDENTITY)
        return content if isinstance(content, dict) else None

    # trials

    def keep(
        self,
        location: RunLocation,
        files: ResultFiles,
        case: CaseRecord,
        trial: TrialRecord,
        state: Json,
        last: LastTrial,
    ) -> None:
        """Write the results of a trial's ranks, and then its record; ResultsError on failure.

        The names of results may have the rank's start: an attempt that was killed has left others,
        which are removed. Other files may lie beside them.
        """
        places = [files.rank_result_path(case, rank, location.timestamp) for rank in trial.ranks]
        attempt = self._attempt_place(case.case, trial.trial)
        remove_files([self._pause_place(case.case, trial.trial)])
        remove_files(self._results_of_attempt(attempt, set(places)))
        write_json(attempt, {"files": places})
        digests = {}
        for place, rank in zip(places, trial.ranks, strict=True):
            text = json_text(redact_json(rank))
            write_text(self._run / place, text)
            digests[place] = _digest(text.encode())
        record = _Record(
            test=case.test,
            workload_fingerprint=case.workload_fingerprint,
            ended=last.ended,
            runtime_s=last.runtime_s,
            files=digests,
            state=dict(state),
        )
        write_json(self._place(case.case, trial.trial), record.model_dump(mode="json"))

    def keep_pause(self, case: str, trial: int, step: Json) -> None:
        """Write that the pause after a trial has completed; ResultsError on failure."""
        write_json(self._pause_place(case, trial), dict(step))

    def discard(self, case: str) -> None:
        """Remove the finished trials of a case, with their files: its test begins anew."""
        for path in self._directory.glob(f"case_{case}/attempt_*.json"):
            remove_files(self._results_of_attempt(path, set()))
        remove_files(sorted(self._directory.glob(f"case_{case}/*.json")))

    def finished(self, source: str, case: CaseRecord, ranks: int) -> Iterator[KeptTrial]:
        """Yield the finished trials of a case from the first on, until one is not finished."""
        number = 1
        while (kept := self._kept(source, case, number, ranks)) is not None:
            yield kept
            number += 1

    def last(self, source: str) -> LastTrial | None:
        """Return when the newest finished trial of any case ended; None without any."""
        records = [self._record(source, path) for path in self._directory.glob("*/trial_*.json")]
        ends = [LastTrial(one.ended, one.runtime_s) for one in records if one is not None]
        return max(ends, key=lambda one: one.runtime_s, default=None)

    def remove(self) -> None:
        """Remove all records, as the run has ended; OSError on failure."""
        self.release()
        remove_named(str(self._directory), _OWN_NAMES)

    def _place(self, case: str, trial: int) -> Path:
        return self._directory / f"case_{case}" / f"trial_{trial}.json"

    def _attempt_place(self, case: str, trial: int) -> Path:
        """Return the list of the results that were about to be written."""
        return self._directory / f"case_{case}" / f"attempt_{trial}.json"

    def _results_of_attempt(self, attempt: Path, others: Collection[str]) -> Iterator[Path]:
        """Yield the results in the list of an attempt, without those of other places."""
        content = _read("the list of an attempt", attempt)
        places = content.get("files") if isinstance(content, dict) else None
        for place in places if isinstance(places, list) else ():
            path = self._result(place) if isinstance(place, str) and place not in others else None
            if path is not None:
                yield path

    def _pause_place(self, case: str, trial: int) -> Path:
        return self._directory / f"case_{case}" / f"pause_after_{trial}.json"

    def _kept(self, source: str, case: CaseRecord, number: int, ranks: int) -> KeptTrial | None:
        record = self._record(source, self._place(case.case, number))
        if (
            record is None
            or record.test != case.test
            or record.workload_fingerprint != case.workload_fingerprint
            or len(record.files) != ranks
        ):
            return None
        contents = [
            _read(source, path, digest)
            for place, digest in record.files.items()
            if (path := self._result(place)) is not None
        ]
        results = tuple(one for one in contents if isinstance(one, dict))
        if len(results) != ranks:
            return None
        paused = _read(source, self._pause_place(case.case, number))
        return KeptTrial(results, record.state, paused if isinstance(paused, dict) else None)

    def _result(self, place: str) -> Path | None:
        """Return the path of a rank's result; None if a record names one outside of the run.

        Links in the run's directory lead outside, too.
        """
        parts = place.split("/")
        if not all(map(_COMPONENT.fullmatch, parts)):
            return None
        folder = str(Path(os.path.realpath(self._run), *parts[:-1]))
        return self._run / place if os.path.realpath(folder) == folder else None

    def _record(self, source: str, path: Path) -> _Record | None:
        try:
            return _Record.model_validate(_read(source, path))
        except ValidationError:
            return None


def beside(directory: Path) -> list[Path]:
    """Return the directories of runs of one model that have kept trials, in order of time.

    `directory` is that of one of them.
    """
    return sorted(path.parents[1] for path in directory.parent.glob(f"*/{DIRECTORY}/{_IDENTITY}"))


def elsewhere(directory: Path, benchmark_type: str) -> list[tuple[str, Path]]:
    """Return the runs of other types and models of a system that have kept trials, in any order.

    `directory` is that of a run of a type. Each is a type and a directory.
    """
    of_type = next((one for one in directory.parents[1:3] if one.name == benchmark_type), None)
    if of_type is None:  # it was moved out of its results tree
        return []
    levels = ("*/*/*", "*/*/*/*")  # a type's path may have a level for the command
    found = [of_type.parent.glob(f"{one}/{DIRECTORY}/{_IDENTITY}") for one in levels]
    runs = [path.parents[1] for path in itertools.chain(*found)]
    return [
        (path.relative_to(of_type.parent).parts[0], path)
        for path in runs
        if path.parent != directory.parent
    ]


def _read(source: str, path: Path, digest: str | None = None) -> object:
    """Return the content of a JSON file; None if it cannot be read, or has another digest."""
    try:
        content = read_bytes(InputFile(source, path), MOST_BYTES)
        if digest is not None and _digest(content) != digest:
            return None
        return parse_json(content)
    except (InvalidFileError, ValueError):
        return None


def _digest(content: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(content)
