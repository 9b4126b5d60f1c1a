"""The programming interfaces of GitHub and GitLab, as far as one comment needs them."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.escaping import for_terminal, shortened

TIMEOUT_S = 30
PAGE = 100
"""Comments that are asked for at once; both services allow no more."""
MOST_PAGES = 50
_MOST_ANSWER_BYTES = 64 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NOT_OURS = (403, 404)
"""Answers to a change of another user's comment."""

Method = Literal["GET", "POST", "PATCH", "PUT"]


class CommentError(MlpsError):
    """A comment could not be read or written."""


class Comment(BaseModel):
    """A comment of a pull request."""

    model_config = ConfigDict(frozen=True)

    id: int
    body: str | None = None


_COMMENTS = TypeAdapter(list[Comment])


@dataclass(frozen=True)
class Service:
    """Where comments of one pull request are."""

    name: str
    comments_url: str
    """List of its comments, to which new ones are posted."""
    comment_url: str
    """A comment, with `{}` for its number."""
    changed_by: Literal["PATCH", "PUT"]
    headers: Mapping[str, str]
    """Headers with the token."""
    most_characters: int
    """Longest comment that is accepted."""
    permission: str
    """Words on the permission that the token needs."""

    def comments(self) -> Iterator[Comment]:
        """Yield the comments; CommentError if they cannot be read."""
        for number in range(1, MOST_PAGES + 1):
            url = f"{self.comments_url}?per_page={PAGE}&page={number}"
            try:
                comments = _COMMENTS.validate_json(self._ask("GET", url))
            except ValidationError as error:
                raise CommentError(
                    f"{self.name} answered GET {url} with something else than a list of comments"
                ) from error
            yield from comments
            if len(comments) < PAGE:
                return

    def post(self, body: str) -> None:
        """Post a new comment."""
        self._ask("POST", self.comments_url, body)

    def change(self, comment: Comment, body: str) -> bool:
        """Replace a comment's text; return whether that was allowed."""
        try:
            self._ask(self.changed_by, self.comment_url.format(comment.id), body)
        except _RefusedError as error:
            if error.status in _NOT_OURS:
                return False
            raise
        return True

    def _ask(self, method: Method, url: str, body: str | None = None) -> bytes:
        """Return the answer to a request; CommentError without one, or one that refuses it."""
        _check_transport(url)
        data = None if body is None else json.dumps({"body": body}).encode()
        headers = {**self.headers, "User-Agent": "mlpstorage_bench"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - checked above
        try:
            with _opener().open(request, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read(_MOST_ANSWER_BYTES)
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise _RefusedError(self, method, url, error) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise CommentError(
                f"{self.name} cannot be reached: {method} {url}: {reason}. Is the address right, "
                "and the network of this job?"
            ) from error


class _RefusedError(CommentError):
    """A service refused a request."""

    def __init__(
        self, service: Service, method: str, url: str, error: urllib.error.HTTPError
    ) -> None:
        self.status = error.code
        said = for_terminal(shortened(error.read(2000).decode("utf-8", "replace").strip()))
        super().__init__(
            f"{service.name} answered {error.code} to {method} {url}: {said or error.reason}. "
            f"The token needs {service.permission}"
        )


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that follows no redirect, as the token would go with it to another host."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _check_transport(url: str) -> None:
    """Raise CommentError if the token would travel in plain text."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise CommentError(f"address of the service: got {url}; accepted: https://…")
