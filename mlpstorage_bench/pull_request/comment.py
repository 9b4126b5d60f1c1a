"""One comment per key: posted the first time, replaced afterwards."""

from __future__ import annotations

import re

from mlpstorage_bench.pull_request.service import Service

KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CUT = "\n\nThe rest was left out, as a comment has a limit.\n"
_COMMAND = re.compile(r"^/", re.MULTILINE)
"""Beginning of a line that GitLab, or a bot, executes for the user of the token."""
_OPENED, _CLOSED = "<details>", "</details>"


def put_comment(service: Service, key: str, text: str) -> str:
    """Post a text as the comment of this key, or replace the former one; return which.

    A comment of another user is left alone: who wrote it could change the report later.
    """
    marker = marker_of(key)
    body = body_of(marker, text, service.most_characters)
    marked = [one for one in service.comments() if (one.body or "").startswith(marker)]
    user = service.user() if marked else ""
    for comment in marked:
        if comment.is_of(user):
            if comment.body == body:
                return "unchanged"
            if service.change(comment, body):
                return "replaced"
    service.post(body)
    return "posted"


def marker_of(key: str) -> str:
    """Return the first line of a comment of this key, which readers do not see."""
    return f"<!-- mlpstorage_bench comment: {key} -->\n"


def body_of(marker: str, text: str, most: int) -> str:
    """Return a comment of at most this many characters, cut at the end of a paragraph."""
    body = marker + _COMMAND.sub(r"\\/", text)
    if len(body) <= most:
        return body
    closing = f"\n\n{_CLOSED}\n"
    kept = body[: most - len(_CUT) - len(closing)]
    kept = kept[: kept.rfind("\n\n")] if "\n\n" in kept else kept
    is_open = kept.count(_OPENED) > kept.count(_CLOSED)
    return f"{kept}{closing if is_open else ''}{_CUT}"
