"""pytest-benchmark's JSON: the document of a session, and the parts of it that are read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.results.record import KEY, RUNS_KEY, problems_of


class Benchmark(BaseModel):
    """One timed test."""

    model_config = ConfigDict(frozen=True)

    fullname: str
    """Node ID of the test."""
    extra_info: dict[str, object] = {}


class _Read(BaseModel):
    benchmarks: list[Benchmark]
    commit_info: dict[str, object] | None = None


class _Run(BaseModel):
    """One of several runs of a session."""

    model_config = ConfigDict(frozen=True)

    record: dict[str, object]
    tests: frozenset[str]
    """Node IDs of the tests of its cases."""


_RUNS = TypeAdapter(list[_Run])


class NoDocumentError(Exception):
    """JSON is no document of pytest-benchmark; the text is the reason."""


@dataclass(frozen=True)
class BenchmarkDocument:
    """A document of pytest-benchmark."""

    content: Json
    """All of it, as it is written to a file."""
    benchmarks: Sequence[Benchmark]
    commit_info: Json | None
    """Commit, branch and state of the tests' repository; None if it has none."""
    record: object = field(default=None)
    """Our record of the session; None if it has none."""

    @classmethod
    def of(cls, content: object) -> BenchmarkDocument:
        """Return the document that JSON holds; NoDocumentError if it is none."""
        if not isinstance(content, dict):
            raise NoDocumentError("It is not an object")
        try:
            read = _Read.model_validate(content)
        except ValidationError as error:
            raise NoDocumentError(problems_of(error)) from error
        return cls(content, tuple(read.benchmarks), read.commit_info, content.get(KEY))

    def of_runs(self) -> list[BenchmarkDocument]:
        """Return a document for each run of the session; NoDocumentError if one is none."""
        runs = self.record.get(RUNS_KEY) if isinstance(self.record, Mapping) else None
        if runs is None:
            return [self]
        try:
            parts = _RUNS.validate_python(runs)
        except ValidationError as error:
            raise NoDocumentError(problems_of(error)) from error
        return [self._of_run(one) for one in parts]

    def _of_run(self, run: _Run) -> BenchmarkDocument:
        listed = self.content["benchmarks"]
        assert isinstance(listed, list), "the document was read"
        kept = [
            (content, read)
            for content, read in zip(listed, self.benchmarks, strict=True)
            if read.fullname in run.tests
        ]
        content = {**self.content, KEY: run.record, "benchmarks": [one for one, _ in kept]}
        return BenchmarkDocument(
            content, tuple(read for _, read in kept), self.commit_info, run.record
        )

    def with_record(self, record: Mapping[str, object]) -> BenchmarkDocument:
        """Return the document with our record."""
        content = {**self.content, KEY: record}
        return BenchmarkDocument(content, self.benchmarks, self.commit_info, record)
