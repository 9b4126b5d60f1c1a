"""Inputs made of valid ones by changes, and inputs without any form."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Sequence

import zstandard
from hypothesis import strategies as st

HOSTILE = (
    *(b"", b"\0", b"\n", b"\r", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\xbd", b"\x1b[2J"),
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"1e-300", b"9" * 5000, b"0.5", b"true", b"null"),
    *(b'"', b"'", b"`", b"#", b"%", b"@", b"=", b":", b",", b";", b"<<", b"&a", b"*a", b"!!x "),
    *(b"[" * 3000, b"{" * 3000, b'{"a":' * 3000, b"- " * 3000, b"[1-9999]", b"../", b"/dev/zero"),
    *(
        "\u202e\u2066".encode(),
        "\u0661".encode(),
        b"2023-11-16 18:17:03",
        b"0001-01-01T00:00:00+23:59",
    ),
)
"""Text that parsers take for something."""
_LONGEST_CUT = 60
_VALUES: tuple[object, ...] = (
    *(None, True, 0, -1, 5, 1.5, 10**30, 10**400, float("nan"), float("inf"), "", "text"),
    *("\x1b[2J\n", "\u202e", "../x", [], [5], [None], {}, {"a": 5}, {"": None}, [[[]]]),
)
"""Values of JSON that stand where others are expected."""


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draw a valid input with some of its parts replaced, removed or repeated; also compressed."""
    data = draw(st.sampled_from(seeds))
    if _is_json(data) and draw(st.booleans()):
        return draw(restructured(data))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, _LONGEST_CUT)))
        part = draw(
            st.sampled_from(HOSTILE) | st.binary(max_size=20) | st.just(data[start:end] * 2)
        )
        data = data[:start] + part + data[end:]
    packs: list[Callable[[bytes], bytes]] = [bytes, bytes, gzip.compress, zstandard.compress]
    packed = draw(st.sampled_from(packs))(data)
    return packed[: draw(st.integers(0, len(packed)))] if draw(st.booleans()) else packed


@st.composite
def restructured(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw JSON with some of its values removed, or replaced by any."""
    value = json.loads(data)
    for _ in range(draw(st.integers(1, 3))):
        inner = value
        while isinstance(inner, dict | list) and inner:
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            key = draw(st.sampled_from(keys))
            if draw(st.integers(0, 3)) == 0 or not isinstance(inner[key], dict | list):
                inner[key] = copy.deepcopy(draw(st.sampled_from(_VALUES)))  # changed in turn
                if draw(st.booleans()):
                    del inner[key]
                break
            inner = inner[key]
    return json.dumps(value).encode()


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def formless() -> st.SearchStrategy[bytes]:
    """Return inputs without any form: bytes, and text of any characters."""
    return st.binary(max_size=300) | st.text(max_size=100).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
