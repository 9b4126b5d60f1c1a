"""Filters that select runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from mlpstorage_bench.errors import InvalidInputError

SINCE_OPTION = "--mlps-history-since"
_AGE = re.compile(r"(\d{1,6})([mhdw])")
_UNIT = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class RunFilter:
    """Conditions on runs; None for any. Names may be globs."""

    last: int | None = None
    """Select this many of the newest."""
    model: str | None = None
    test: str | None = None
    """Name of a case, or node id of its test."""
    mode: str | None = None
    host: str | None = None
    since: datetime | None = None
    status: str | None = None
    tag: str | None = None
    branch: str | None = None
    system_fingerprint: str | None = None
    workload_fingerprint: str | None = None
    """Fingerprint of any of its cases."""

    def conditions(self) -> tuple[str, list[object]]:
        """Return the SQL condition on a row of `runs`, and its values.

        It does not contain the status: whether a run has died is checked when the run is read.
        """
        clauses: list[str] = ["1"]
        values: list[object] = []
        for clause, given in (
            (_named("runs.model"), self.model),
            (_named("runs.branch"), self.branch),
            (_any_of("run_hosts", "host"), self.host),
            (_any_of("run_tags", "tag"), self.tag),
        ):
            if given is not None:
                clauses.append(clause)
                values += [given, given]
        if self.test is not None:
            clauses.append(_of_case(f"({_named('cases.name')} OR {_named('cases.test')})"))
            values += [self.test] * 4
        if self.workload_fingerprint is not None:
            clauses.append(_of_case("cases.workload_fingerprint = ?"))
            values.append(self.workload_fingerprint)
        for column, exact in (
            ("mode", self.mode),
            ("system_fingerprint", self.system_fingerprint),
        ):
            if exact is not None:
                clauses.append(f"runs.{column} = ?")
                values.append(exact)
        if self.since is not None:
            clauses.append("runs.started_s >= ?")
            values.append(self.since.timestamp())
        return " AND ".join(clauses), values


def _named(column: str) -> str:
    """Match a name literally or as a glob: `test_workload[1]` is both a node id and a glob."""
    return f"({column} = ? OR {column} GLOB ?)"


def _any_of(table: str, column: str) -> str:
    """Match runs with a row of this name in a table."""
    named = _named(f"{table}.{column}")
    return f"EXISTS (SELECT 1 FROM {table} WHERE {table}.file = runs.file AND {named})"  # noqa: S608 - names of our own


def _of_case(condition: str) -> str:
    """Match runs with a case that meets a condition."""
    return f"EXISTS (SELECT 1 FROM cases WHERE cases.file = runs.file AND {condition})"  # noqa: S608 - a condition of our own


def parse_since(text: str, now: datetime) -> datetime:
    """Return the time for a date ('2026-11-24', '2026-11-24T10:00') or an age ('7d', '24h').

    InvalidInputError for any other text. Without an offset it is local time.
    """
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNIT[age[2]]: int(age[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            SINCE_OPTION, text, "a date like 2026-11-24 or 2026-11-24T10:00, or an age like 7d, 24h"
        ) from error


def matches_case(name: str, test: str | None, wanted: str | None) -> bool:
    """Return whether `RunFilter.test` selects a case."""
    if wanted is None:
        return True
    return any(
        candidate is not None and (candidate == wanted or fnmatchcase(candidate, wanted))
        for candidate in (name, test)
    )
