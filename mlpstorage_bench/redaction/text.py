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
_HEADER = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie|(?:[\w-]*-)?api-?key"
    r"|x-(?:[\w-]*-)?(?:auth|key|secret|token)",
    re.IGNORECASE,
)
"""Name of a header of HTTP whose value is secret."""
_NAME = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]+)(?:(?P<equals>=)|(?P<quote>[\"']?)\s{0,9}:\s{0,9})"
)
"""A name before its value: `name=`, `name:` or `"name":`."""
_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s&;,'\"()]+")
_VALUE_OF_HEADER = re.compile(r"[^'\"\n]+")
_VALUE_OF_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_WORD = re.compile(r"[^\s'\"]+")
_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,40}://|(?<![\w:/])//)"
    r"(?:[^\s/?#'\"]*@|[^\s/?#@:\['\"]*:(?!\d+(?:[/?#]|$))[^\s'\"]*@)",
    re.IGNORECASE,
)
"""User and password in a URL, or in `//user@server/share`; a password may contain `@` and `/`.

It is searched in words up to their last `@`: beyond, each scheme would be followed to the word's
end.
"""


def is_secret(name: str) -> bool:
    """Whether the value of an option, variable or key is secret, judged by its name."""
    return _SECRET.search(name) is not None


def redact_text(text: str) -> str:
    """Remove credentials from the URLs in a text, and the values of secret names.

    Values follow `name=`, `"name":`, or the name of a header of HTTP. The time is linear in the
    text's length, whatever it contains.
    """
    if "@" in text:
        text = _WORD.sub(_without_credentials, text)
    if "=" not in text and ":" not in text:  # as in most texts
        return text
    parts, at = [], 0
    for found in _NAME.finditer(text):
        form = _form_of_value(found)
        value = None if form is None or found.start() < at else form.match(text, found.end())
        if value is not None:
            parts += [text[at : value.start()], REMOVED]
            at = value.end()
    return "".join([*parts, text[at:]])


def _without_credentials(word: re.Match[str]) -> str:
    end = word[0].rfind("@") + 1
    return _URL_CREDENTIALS.sub(r"\g<scheme>", word[0][:end]) + word[0][end:]


def _form_of_value(found: re.Match[str]) -> re.Pattern[str] | None:
    """Return the form of the value after a name; None if the value is not secret."""
    if found["equals"]:
        return _VALUE if is_secret(found["name"]) else None
    if found["quote"]:
        return _VALUE_OF_QUOTED if is_secret(found["name"]) else None
    return _VALUE_OF_HEADER if _HEADER.fullmatch(found["name"]) else None


def redact_json(value: T) -> T:
    """Return JSON data with every text redacted."""
    return _redacted(value)  # type: ignore[return-value]  # the same kinds of values


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            name: _removed(one) if is_secret(str(name)) else _redacted(one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(one) for one in value]
    return value


def _removed(value: object) -> object:
    """Return the value of a secret name without its texts.

    Numbers stay, as of `bytes_per_token`, and so do objects, which describe such a number.
    """
    if isinstance(value, str):
        return REMOVED
    if isinstance(value, list | tuple):
        return [_removed(one) for one in value]
    return _redacted(value)


def redact_mount_source(fstype: str, source: str) -> str:
    """Return the source of a mount without credentials, also of `user:password@host:/path`.

    That form belongs to FUSE: in other sources, such as Lustre's `host@tcp:/name`, `@` has other
    meanings.
    """
    if fstype.startswith("fuse"):
        source = re.sub(r"^(?:[^/\s:@]+@(?=[^/@]+:)|[^/\s:@]+:(?!/)[^\s/]*@)", "", source)
    return redact_text(source)
