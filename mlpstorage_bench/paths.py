"""Names that become a part of a path, names made of any text, and digests for comparison."""

from __future__ import annotations

import json
import re

import xxhash

from mlpstorage_bench.errors import InvalidInputError

_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def check_path_component(source: str, value: str) -> str:
    """Return the value if it may be a directory's name in the tree; InvalidInputError if not."""
    if not _SEGMENT.fullmatch(value) or value in {".", ".."}:
        raise InvalidInputError(
            source, value, "letters, digits, '.', '_' and '-', and neither '.' nor '..'"
        )
    return value


def slugify(text: str) -> str:
    """Return text with what a directory's name in the tree may not have replaced by '-'."""
    segment = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")
    return segment or "unnamed"


def digest_name(text: str) -> str:
    """Return a file name for any text, also one that is a path: 32 hexadecimal digits (XXH3)."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def fingerprint(parts: object) -> str:
    """Return a digest of what JSON can hold, whatever the order of keys: XXH3, 128 bits, in hex."""
    return xxhash.xxh3_128_hexdigest(json.dumps(parts, sort_keys=True).encode())
