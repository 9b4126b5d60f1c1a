"""The pull request that a CI job runs for, from the job's environment variables."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.pull_request.service import GRAPHQL, WORD, CommentError, Service
from mlpstorage_bench.results.json_files import read_json

GITHUB_TOKEN, GITLAB_TOKEN = "GITHUB_TOKEN", "GITLAB_TOKEN"
_MOST_ON_GITHUB = 65_536
_MOST_ON_GITLAB = 1_000_000


class _Numbered(BaseModel):
    model_config = ConfigDict(frozen=True)

    number: int


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)

    pull_request: _Numbered | None = None


def service_of(environ: Mapping[str, str], number: int | None = None) -> Service | None:
    """Return the service and the pull request of this job; None if it runs for no pull request.

    `number` replaces that of the environment. CommentError if a variable is missing, or if this is
    a job of neither service.
    """
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ, number)
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ, number)
    raise CommentError(
        "no job of GitHub Actions (GITHUB_ACTIONS=true) or GitLab CI (GITLAB_CI=true): run this in "
        "a job of one of them"
    )


def _github(environ: Mapping[str, str], number: int | None) -> Service | None:
    number = number or _number_in_event(environ)
    if number is None:
        return None
    api = environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    issues = f"{api}/repos/{_needed(environ, 'GITHUB_REPOSITORY')}/issues"
    return Service(
        name="GitHub",
        comments_url=f"{issues}/{number}/comments",
        comment_url=f"{issues}/comments/{{}}",
        changed_by="PATCH",
        user_url=environ.get("GITHUB_GRAPHQL_URL") or f"{api}{GRAPHQL}",
        headers={
            "Authorization": f"Bearer {_token(environ, GITHUB_TOKEN)}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        most_characters=_MOST_ON_GITHUB,
        permission="the permission pull-requests: write",
    )


def _number_in_event(environ: Mapping[str, str]) -> int | None:
    path = environ.get("GITHUB_EVENT_PATH")
    if not path:
        return None
    file = InputFile("GITHUB_EVENT_PATH", Path(path), "the event of a workflow")
    try:
        event = _Event.model_validate(read_json(file))
    except ValidationError as error:
        raise CommentError(f"GITHUB_EVENT_PATH: {path} is no event of a workflow") from error
    return None if event.pull_request is None else event.pull_request.number


def _gitlab(environ: Mapping[str, str], number: int | None) -> Service | None:
    given = environ.get("CI_MERGE_REQUEST_IID", "")
    number = number or (int(given) if given.isdecimal() else None)
    if number is None:
        return None
    project = urllib.parse.quote(_needed(environ, "CI_PROJECT_ID"), safe="")
    api = _needed(environ, "CI_API_V4_URL").rstrip("/")
    notes = f"{api}/projects/{project}/merge_requests/{number}/notes"
    return Service(
        name="GitLab",
        comments_url=notes,
        comment_url=f"{notes}/{{}}",
        changed_by="PUT",
        user_url=f"{api}/user",
        headers={"PRIVATE-TOKEN": _token(environ, GITLAB_TOKEN)},
        most_characters=_MOST_ON_GITLAB,
        permission="the scope api and the role Reporter; CI_JOB_TOKEN cannot write notes",
    )


def _token(environ: Mapping[str, str], name: str) -> str:
    """Return a token without the line's end that a stored secret often has; it is never shown."""
    token = _needed(environ, name).strip()
    if not WORD.fullmatch(token):
        raise CommentError(f"{name}: has a space, a line's end or a letter that no token has")
    return token


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise CommentError(f"{name}: not set; set this variable for the job")
    return value
