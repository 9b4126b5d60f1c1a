"""Removal of secrets from texts, JSON and sources of mounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

REMOVED = "***"
"""Replaces a value."""

_SENSITIVE = (
    r"(?:(?<![a-z])(?:auth|authorization|cookie|creds?|credentials?|pass|passphrase|pw|pwd|sig"
    r"|signature)(?![a-z])|passw|secret|token(?![a-z])"
    r"|(?:access|account|api|private|shared)[_-]?key)"
)
_SECRET = re.compile(_SENSITIVE, re.IGNORECASE)
"""Occurs in the name of a value that is secret."""
_SECRET_VALUE = re.compile(
    rf"(?<![\w.-])(?P<name>[\w.-]*{_SENSITIVE}[\w.-]*)="
    r"(?:\"[^\"]*\"|'[^']*'|[^\s&;,'\"()]+)",
    re.IGNORECASE,
)
_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://|(?<![\w:/])//)"
    r"(?:[^\s/?#'\"]*@|[^\s/?#@:\['\"]*:(?!\d+(?:[/?#]|$))[^\s'\"]*@)",
    re.IGNORECASE,
)
"""User and password in a URL, or in `//user@server/share`; a password may contain `@` and `/`."""


def is_secret(name: str) -> bool:
    """Whether the value of an option, variable or key is secret, judged by its name."""
    return _SECRET.search(name) is not None


def redact_text(text: str) -> str:
    """Remove credentials from the URLs in a text, and the values of secret names."""
    # Most texts have neither sign, and these expressions try each of their positions.
    if "@" in text:
        text = _URL_CREDENTIALS.sub(r"\g<scheme>", text)
    if "=" in text:
        text = _SECRET_VALUE.sub(rf"\g<name>={REMOVED}", text)
    return text


def redact_json(value: T) -> T:
    """Return JSON data with every text redacted."""
    return _redacted(value)  # type: ignore[return-value]  # the same kinds of values


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            name: REMOVED if isinstance(one, str) and is_secret(str(name)) else _redacted(one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(one) for one in value]
    return value


def redact_mount_source(fstype: str, source: str) -> str:
    """Return the source of a mount without credentials, also of `user:password@host:/path`.

    That form belongs to FUSE: in other sources, such as Lustre's `host@tcp:/name`, `@` has other
    meanings.
    """
    if fstype.startswith("fuse"):
        source = re.sub(r"^(?:[^/\s:@]+@(?=[^/@]+:)|[^/\s:@]+:(?!/)[^\s/]*@)", "", source)
    return redact_text(source)
