"""pytest-benchmark's JSON: the document of a session, and the parts of it that are read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.results.record import KEY, problems_of


class Benchmark(BaseModel):
    """One timed test."""

    model_config = ConfigDict(frozen=True)

    fullname: str
    """Node ID of the test."""
    extra_info: dict[str, object] = {}


class _Read(BaseModel):
    benchmarks: list[Benchmark]
    commit_info: dict[str, object] | None = None


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

    def with_record(self, record: Mapping[str, object]) -> BenchmarkDocument:
        """Return the document with our record."""
        content = {**self.content, KEY: record}
        return BenchmarkDocument(content, self.benchmarks, self.commit_info, record)
