"""Checks of a run's hosts as a table, and the verdict on a closed run in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from mlpstorage_bench.results.metadata_parts import IntegrityCheck
from mlpstorage_bench.results.verification import Verification

_MOST_HOSTS = 8
"""Hosts that are named in one row."""


def checks_table(checks: Sequence[IntegrityCheck]) -> Table:
    """Return a table of checks; hosts with the same verdict share a row, with the first's state."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for title in ("check", "hosts", "verdict"):
        table.add_column(title, no_wrap=title != "hosts")
    table.add_column("seen", overflow="fold")
    for row in check_rows(checks):
        table.add_row(*row)
    return table


def check_rows(checks: Sequence[IntegrityCheck]) -> Iterator[tuple[str, str, str, str]]:
    """Yield check, hosts, verdict and observed state of each row."""
    alike: dict[tuple[str, str], list[IntegrityCheck]] = {}
    for check in checks:
        alike.setdefault((check.check, check.verdict), []).append(check)
    for (name, verdict), found in alike.items():
        hosts = [check.host for check in found]
        more = f" and {len(hosts) - _MOST_HOSTS} more" if len(hosts) > _MOST_HOSTS else ""
        yield name, f"{', '.join(hosts[:_MOST_HOSTS])}{more}", verdict, found[0].seen


def headline(verification: Verification, unproven: Sequence[str]) -> list[str]:
    """Return the verdict on a closed run, and the properties that could not be measured."""
    count = len(verification.not_valid_because)
    reasons = f", for {count} reason{'s' if count > 1 else ''}" if count else ""
    word = verification.word or "not verified"
    return [
        f"closed mode: {word}{reasons}",
        *(f"closed mode: not confirmed: {one}" for one in unproven),
        *because(verification),
    ]


def because(verification: Verification) -> list[str]:
    """Return a line for each reason for which a closed run is INVALID."""
    return [f"INVALID because {reason}" for reason in verification.not_valid_because]
