"""The programming interfaces of GitHub and GitLab, as far as one comment needs them."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.escaping import for_terminal, shortened

TIMEOUT_S = 30
PAGE = 100
"""Comments that are asked for at once; both services allow no more."""
MOST_PAGES = 50
GRAPHQL = "/graphql"
_MOST_ANSWER_BYTES = 64 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NOT_OURS = (403, 404)
"""Answers to a change of another user's comment."""

WORD = re.compile(r"[!-~]+")
"""Characters that a request may have in its address and its headers."""

Method = Literal["GET", "POST", "PATCH", "PUT"]


class CommentError(MlpsError):
    """A comment could not be read or written."""


class _User(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(validation_alias=AliasChoices("login", "username"))


class _Viewer(BaseModel):
    model_config = ConfigDict(frozen=True)

    viewer: _User


class _Answer(BaseModel):
    """An answer of GitHub's GraphQL."""

    model_config = ConfigDict(frozen=True)

    data: _Viewer


class Comment(BaseModel):
    """A comment of a pull request."""

    model_config = ConfigDict(frozen=True)

    id: int
    body: str | None = None
    user: _User | None = None
    """Its author, on GitHub."""
    author: _User | None = None
    """The same, on GitLab."""

    def is_of(self, user: str) -> bool:
        """Whether the user with this name has written it."""
        by = self.user or self.author
        return by is not None and by.name == user


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
    user_url: str
    """Where the token's user is asked for: GraphQL on GitHub, for tokens of jobs."""
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

    def user(self) -> str:
        """Return the name of the token's user; CommentError if the service does not say."""
        try:
            if self.user_url.endswith(GRAPHQL):
                question = {"query": "{ viewer { login } }"}
                answer = self._ask("POST", self.user_url, question)
                return _Answer.model_validate_json(answer).data.viewer.name
            return _User.model_validate_json(self._ask("GET", self.user_url)).name
        except ValidationError as error:
            raise CommentError(
                f"{self.name} does not say at {self.user_url} whose the token is"
            ) from error

    def post(self, body: str) -> None:
        """Post a new comment."""
        self._ask("POST", self.comments_url, {"body": body})

    def change(self, comment: Comment, body: str) -> bool:
        """Replace a comment's text; return whether that was allowed."""
        try:
            self._ask(self.changed_by, self.comment_url.format(comment.id), {"body": body})
        except _RefusedError as error:
            if error.status in _NOT_OURS:
                return False
            raise
        return True

    def _ask(self, method: Method, url: str, sent: Mapping[str, str] | None = None) -> bytes:
        """Return the answer to a request; CommentError without one, or one that refuses it."""
        _check_transport(url)
        data = None if sent is None else json.dumps(sent).encode()
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
        except (OSError, http.client.HTTPException) as error:
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
        said = for_terminal(shortened(_beginning(error).decode("utf-8", "replace").strip()))
        super().__init__(
            f"{service.name} answered {error.code} to {method} {url}: {said or error.reason}. "
            f"The token needs {service.permission}"
        )


def _beginning(answer: urllib.error.HTTPError) -> bytes:
    """Return the beginning of an answer; nothing if it breaks off."""
    try:
        return answer.read(2000)
    except (OSError, http.client.HTTPException):
        return b""


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
    """Raise CommentError for no address, and if the token would travel in plain text."""
    try:
        parts = urllib.parse.urlsplit(url)
        is_safe = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in _LOOPBACK
        )
        is_address = is_safe and parts.port != 0 and bool(parts.hostname and WORD.fullmatch(url))
    except ValueError:
        is_address = False
    if not is_address:
        raise CommentError(f"address of the service: got {url}; accepted: https://…")
