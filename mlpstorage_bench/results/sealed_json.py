"""JSON objects with a checksum of their content, by which a later change is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

CHECKSUM = "sha256"
"""Key of the checksum."""
CHANGED = "its content does not match its sha256: it was changed since, or damaged"


def sealed(content: Mapping[str, object]) -> dict[str, object]:
    """Return JSON content with its checksum, which is the same for any order of keys and spaces."""
    return {**content, CHECKSUM: _checksum(content)}


def is_sealed(content: object) -> bool:
    """Return whether content has a checksum, and it is right."""
    return isinstance(content, dict) and content.get(CHECKSUM) == _checksum(content)


def _checksum(content: Mapping[str, object]) -> str:
    others = {key: value for key, value in content.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
