"""Notes of a run, those of one kind together."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ABOUT = re.compile(r"workload (\S+): ")
"""Beginning of a note on one case."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def grouped(notes: Iterable[str]) -> list[str]:
    """Return notes with one line for those that differ in their case and in numbers alone.

    The line names all cases, has the numbers of the first, and says so; it says how many more a
    case has.
    """
    kinds: dict[str, tuple[list[str], list[str]]] = {}
    for note in dict.fromkeys(notes):
        about = _ABOUT.match(note)
        text = note[about.end() :] if about else note
        kind = _NUMBER.sub("0", text) if about else note
        texts, cases = kinds.setdefault(kind, ([], []))
        texts.append(text)
        cases.extend([about[1]] if about else [])
    return [_line(texts, cases) for texts, cases in kinds.values()]


def _line(texts: list[str], about: list[str]) -> str:
    cases = list(dict.fromkeys(about))
    text = texts[0]
    if len(cases) > 1 and len(set(texts)) > 1:
        text += f" (figures of workload {cases[0]})"
    more = f" (and {len(about) - len(cases)} more like it)" if len(about) > len(cases) else ""
    if not cases:
        return text
    return f"workload{'s' if len(cases) > 1 else ''} {', '.join(cases)}: {text}{more}"
