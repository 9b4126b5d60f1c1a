"""The directory of one run, named by its time, and the files in it.

A run is identified by the place of its leaf, never by paths in its files: those are of the machine
on which it ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.place import Place
from mlpstorage_bench.leaves.reading import Unreadable, read_json, read_pointer
from mlpstorage_bench.results.code_image import POINTER

SUMMARY_NAME = "summary.json"
STAMP_FILE = "provenance.json"
"""Name of the file that names the tool, the code image and the edition of a run."""
_RANK_RESULTS = ("kvcache_results_", "checkpoint_results_")
"""Beginnings of the names of files with results of a rank in a trial."""
_FIRST_OUTPUT = "0_output.json"
"""Name of what the first rank of a training measured in a trial."""
_FORMER_SUMMARY = "kvcache_run_summary_"
"""Beginning of a summary's name in early tools."""


def is_summary(name: str) -> bool:
    """Return whether a file has the name of a run's summary, today's or the former one."""
    return name == SUMMARY_NAME or (name.startswith(_FORMER_SUMMARY) and name.endswith(".json"))


def summary_names(timestamp: str) -> tuple[str, str]:
    """Return the names that the summary of a run's directory may have, today's first."""
    return SUMMARY_NAME, f"{_FORMER_SUMMARY}{timestamp}.json"


@dataclass(frozen=True)
class RankFile:
    """The results of one rank in one trial of an option of kv_cache."""

    option: int
    trial: int
    rank: int
    path: Path

    @property
    def place(self) -> str:
        """Its directory in the leaf."""
        return f"option_{self.option}/trial_{self.trial}/rank_{self.rank}"

    @cached_property
    def document(self) -> Document | Unreadable:
        """The file's content, or why it cannot be read."""
        return read_json(self.path)


@dataclass(frozen=True)
class Leaf:
    """The directory of one invocation, named by its time."""

    path: Path
    place: Place

    @property
    def timestamp(self) -> str:
        """The directory's name, YYYYMMDD_HHMMSS."""
        return self.path.name

    def __str__(self) -> str:
        return f"{self.place}/{self.timestamp}"

    @property
    def division(self) -> str:
        """Closed, open or whatif."""
        return self.place.division

    @property
    def organization(self) -> str:
        """The submitter."""
        return self.place.organization

    @property
    def system(self) -> str:
        """The name of the system under test."""
        return self.place.system

    @property
    def benchmark_type(self) -> str:
        """The benchmark type."""
        return self.place.benchmark_type

    @property
    def model(self) -> str:
        """The model, or the engine of a vector database."""
        return self.place.model

    @property
    def index(self) -> str:
        """The index of a vector database; else empty."""
        return self.place.index

    @property
    def command(self) -> str:
        """The command: run, datasize or datagen."""
        return self.place.command

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in the directory."""
        return frozenset(_names(self.path))

    @cached_property
    def metadata_files(self) -> list[Path]:
        """The files named as this leaf's metadata; readers accept exactly one."""
        beginning = f"{self.benchmark_type}_"
        return [
            self.path / name
            for name in sorted(self.names)
            if name.startswith(beginning) and name.endswith("_metadata.json")
        ]

    @cached_property
    def metadata(self) -> Document | Unreadable:
        """The metadata, if there is exactly one such file and it can be read."""
        if len(self.metadata_files) != 1:
            return Unreadable(f"{len(self.metadata_files)} metadata files in the leaf")
        return read_json(self.metadata_files[0])

    @cached_property
    def summary(self) -> Document | Unreadable:
        """The summary under the name that today's readers read."""
        return self._json(SUMMARY_NAME)

    @cached_property
    def any_summary(self) -> Document | Unreadable:
        """The summary, under its former name where there is no other."""
        former = [name for name in self.names if name.startswith(_FORMER_SUMMARY)]
        if SUMMARY_NAME in self.names or len(former) != 1:
            return self.summary
        return self._json(former[0])

    @cached_property
    def separation(self) -> Document | Unreadable:
        """The record of whether data and results lie on different filesystems."""
        return self._json("fs_separation.json")

    @cached_property
    def provenance(self) -> Document | Unreadable:
        """The stamp of tool and rules edition."""
        return self._json(STAMP_FILE)

    @cached_property
    def pointer(self) -> str | Unreadable:
        """The text that names the code image."""
        return (
            read_pointer(self.path / POINTER)
            if POINTER in self.names
            else Unreadable("no pointer to a code image")
        )

    @cached_property
    def rank_files(self) -> list[RankFile]:
        """The rank files of kv_cache, by option, trial and rank."""
        return [
            RankFile(option, *one)
            for option, in_option in _numbered(self.path, "option_")
            for one in _in_case(in_option)
        ]

    def first_document_of(self, case: str) -> Document | None:
        """Return what the first rank of a case recorded in its first trial; None without it.

        The case is an option or, in runs of ours, any other case, also of a training.
        """
        for folder in (f"option_{case}", f"case_{case}"):
            if folder not in self.names:
                continue
            for _, _, path in _in_case(self.path / folder):
                document = read_json(path)
                if isinstance(document, Document):
                    return document
        if case in self.names:
            for _, in_trial in _numbered(self.path / case, "trial_"):
                document = read_json(in_trial / _FIRST_OUTPUT)
                if isinstance(document, Document):
                    return document
        return None

    @property
    def rank_documents(self) -> Iterator[tuple[RankFile, Document]]:
        """The rank files that can be read, with their content."""
        for file in self.rank_files:
            if isinstance(file.document, Document):
                yield file, file.document

    def forget_rank_files(self) -> None:
        """Drop what was read of the rank files: thousands of them do not fit in memory."""
        self.__dict__.pop("rank_files", None)

    def _json(self, name: str) -> Document | Unreadable:
        return read_json(self.path / name) if name in self.names else Unreadable(f"no {name}")


def _in_case(directory: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield trial, rank and path of the rank files in the directory of a case, in order."""
    for trial, in_trial in _numbered(directory, "trial_"):
        for rank, in_rank in _numbered(in_trial, "rank_"):
            for name in sorted(_names(in_rank)):
                if name.startswith(_RANK_RESULTS) and name.endswith(".json"):
                    yield trial, rank, in_rank / name


def _numbered(directory: Path, beginning: str) -> Iterable[tuple[int, Path]]:
    """Return number and path of the directories named by a beginning and a number, in order."""
    found = [
        (int(name.removeprefix(beginning)), directory / name)
        for name in _names(directory)
        if re.fullmatch(re.escape(beginning) + r"\d{1,6}", name)
    ]
    return sorted(found)


def _names(directory: Path) -> list[str]:
    return [path.name for path in entries(directory)]


def entries(directory: Path) -> list[Path]:
    """Return the entries of a directory; none of what is no directory or cannot be read."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
