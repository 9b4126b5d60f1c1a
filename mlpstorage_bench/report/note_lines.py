"""Notes of a run, those of one kind together."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ABOUT = re.compile(r"workload (\S+): ")
"""Beginning of a note on one case."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def grouped(notes: Iterable[str]) -> list[str]:
    """Return notes with one line for those that differ in their case and in numbers alone.

    The line names all cases, and has the numbers of the first; it says how many more a case has.
    """
    kinds: dict[str, tuple[str, list[str]]] = {}
    for note in dict.fromkeys(notes):
        about = _ABOUT.match(note)
        text = note[about.end() :] if about else note
        kind = _NUMBER.sub("0", text) if about else note
        kinds.setdefault(kind, (text, []))[1].extend([about[1]] if about else [])
    return [_line(text, cases) for text, cases in kinds.values()]


def _line(text: str, about: list[str]) -> str:
    cases = list(dict.fromkeys(about))
    more = f" (and {len(about) - len(cases)} more like it)" if len(about) > len(cases) else ""
    if not cases:
        return text
    return f"workload{'s' if len(cases) > 1 else ''} {', '.join(cases)}: {text}{more}"
