"""Result of one check of this machine, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.redaction.text import redact_text
from mlpstorage_bench.units import counted

Status = Literal["ok", "note", "problem"]
_LONGEST_STATUS = len("problem")
_LONGEST_SUBJECT = len("cache directory")
_GAP = "  "
FINDING_INDENT = _LONGEST_STATUS + _LONGEST_SUBJECT + 2 * len(_GAP)
"""Columns of a line before what was seen."""


@dataclass(frozen=True)
class Finding:
    """Observation of a check, and its meaning for a run.

    `problem`: a run would fail, or its figures could not be trusted; `note`: a run works, and
    something about it is less than it could be.
    """

    subject: str
    status: Status
    seen: str
    advice: str = ""
    """Next step; '' if nothing is to be done."""

    @property
    def line(self) -> str:
        """The finding as a line for a terminal."""
        said = redact_text(self.seen)  # a launcher can repeat its arguments
        text = f"{said}. {self.advice}" if self.advice else said
        columns = f"{self.status:<{_LONGEST_STATUS}}", f"{self.subject:<{_LONGEST_SUBJECT}}"
        return for_terminal(_GAP.join([*columns, text]))


def summary(findings: Sequence[Finding]) -> str:
    """Return the number of findings of each status, and what follows, in a line."""
    count = {
        status: sum(one.status == status for one in findings) for status in ("note", "problem")
    }
    if count["problem"]:
        text = "a run would fail, or its figures could not be trusted: mend the problems first"
    elif count["note"]:
        text = "a run works here; read the notes"
    else:
        text = "a run works here"
    return f"{_number(count['problem'], 'problem')}, {_number(count['note'], 'note')}: {text}"


def _number(count: int, noun: str) -> str:
    return counted(count, noun) if count else f"no {noun}s"
