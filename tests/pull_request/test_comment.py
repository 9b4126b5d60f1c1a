"""One comment in a pull request: posted, found again and replaced, on fakes of both services."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mlpstorage_bench.pull_request.__main__ import main
from mlpstorage_bench.pull_request.comment import body_of, marker_of
from tests.pull_request.fake_services import OWN, TOKEN, Fake, fake_service

SERVICES = ("GitHub", "GitLab")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fake_service() as fake:
        yield fake


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.md"
    path.write_text("# Passed\n", encoding="utf-8")
    return path


def job(service: str, fake: Fake, folder: Path, **changes: str) -> dict[str, str]:
    """Return the variables of a job for pull request 7."""
    event = folder / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    variables = {
        "GitHub": {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": fake.address,
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_TOKEN": TOKEN,
        },
        "GitLab": {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": fake.address,
            "CI_PROJECT_ID": "g/p",
            "CI_MERGE_REQUEST_IID": "7",
            "GITLAB_TOKEN": TOKEN,
        },
    }
    return {**variables[service], **changes}


def bodies(fake: Fake) -> list[str]:
    return [comment["body"] for comment in fake.comments]


@pytest.mark.parametrize("service", SERVICES)
def test_comment_is_posted_once_and_replaced_afterwards(
    service: str, fake: Fake, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.add("a discussion")
    environ = job(service, fake, report.parent)
    assert main([str(report)], environ) == 0
    report.write_text("# Failed\n")
    assert main([str(report)], environ) == 0
    assert main([str(report)], environ) == 0
    assert bodies(fake) == ["a discussion", f"{marker_of('report')}# Failed\n"]
    assert capsys.readouterr().out.splitlines() == [
        f"comment report on {service}: {done}" for done in ("posted", "replaced", "unchanged")
    ]
    change = {"GitHub": "PATCH", "GitLab": "PUT"}[service]
    user = {"GitHub": "POST /graphql", "GitLab": "GET /user"}[service]
    methods = [request if request == user else request.split()[0] for request in fake.requests]
    assert methods == ["GET", "POST", "GET", user, change, "GET", user]


@pytest.mark.parametrize("service", SERVICES)
def test_comment_is_found_behind_hundreds_of_others(service: str, fake: Fake, report: Path) -> None:
    for number in range(250):
        fake.add(f"comment {number}")
    fake.add(f"{marker_of('report')}old", OWN)
    assert main([str(report)], job(service, fake, report.parent)) == 0
    assert len(fake.comments) == 251
    assert bodies(fake)[-1] == f"{marker_of('report')}# Passed\n"


def test_keys_have_a_comment_each(fake: Fake, report: Path) -> None:
    environ = job("GitHub", fake, report.parent)
    for key in ("nvme", "nfs", "nvme"):
        assert main([f"--key={key}", str(report)], environ) == 0
    assert len(fake.comments) == 2


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("text", ["forged", "# Passed\n"])
def test_marker_in_a_comment_of_another_user_is_left_alone(
    service: str, text: str, fake: Fake, report: Path
) -> None:
    fake.may_change_all = True
    fake.add(f"{marker_of('report')}{text}")
    assert main([str(report)], job(service, fake, report.parent)) == 0
    assert bodies(fake) == [marker_of("report") + one for one in (text, "# Passed\n")]


def test_line_s_end_of_a_stored_token_is_no_part_of_it(fake: Fake, report: Path) -> None:
    assert main([str(report)], job("GitHub", fake, report.parent, GITHUB_TOKEN=f"{TOKEN}\n")) == 0


@pytest.mark.parametrize("token", ["s3cret\nX-Forged: 1", "s3cret€", "s3 cret"])
@pytest.mark.parametrize("service", SERVICES)
def test_token_that_no_header_can_have_is_refused_and_not_shown(
    service: str, token: str, fake: Fake, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = job(service, fake, report.parent)
    environ[f"{service.upper()}_TOKEN"] = token
    assert main([str(report)], environ) == 1
    message = capsys.readouterr().err
    assert f"{service.upper()}_TOKEN: has a space" in message
    assert "cret" not in message
    assert fake.requests == []


def test_answer_of_another_protocol_is_reported(
    fake: Fake, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.speaks_no_http = True
    assert main([str(report)], job("GitHub", fake, report.parent)) == 1
    assert "GitHub cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refusal_is_reported_with_the_next_step_and_without_the_token(
    fake: Fake, report: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    fake.refuses_with = status
    assert main([str(report)], job("GitHub", fake, report.parent)) == 1
    message = capsys.readouterr().err
    assert f"GitHub answered {status} to GET {fake.address}/repos/o/r/issues/7/comments" in message
    assert "The token needs the permission pull-requests: write" in message
    assert message[:-1].isprintable()
    assert TOKEN not in message


def test_redirect_does_not_take_the_token_to_another_host(
    fake: Fake, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_service() as other:
        fake.redirects_to = other.address
        assert main([str(report)], job("GitHub", fake, report.parent)) == 1
        assert other.requests == []
    assert "answered 307" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GITHUB_API_URL": "http://api.example"}, "accepted: https://"),
        ({"GITHUB_API_URL": "ftp://127.0.0.1"}, "accepted: https://"),
        ({"GITHUB_API_URL": "https://api example"}, "accepted: https://"),
        ({"GITHUB_API_URL": "https://[::"}, "accepted: https://"),
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN: not set"),
        ({"GITHUB_REPOSITORY": ""}, "GITHUB_REPOSITORY: not set"),
        ({"GITHUB_ACTIONS": ""}, "no job of GitHub Actions"),
        ({"GITHUB_EVENT_PATH": "/nowhere"}, "GITHUB_EVENT_PATH"),
        ({"GITHUB_API_URL": "http://127.0.0.1:9"}, "GitHub cannot be reached"),
    ],
)
def test_unusable_surroundings_are_named(
    fake: Fake,
    report: Path,
    capsys: pytest.CaptureFixture[str],
    changes: Mapping[str, str],
    message: str,
) -> None:
    assert main([str(report)], job("GitHub", fake, report.parent, **changes)) == 1
    assert message in capsys.readouterr().err
    assert fake.comments == []


def test_job_for_no_pull_request_posts_nothing(
    fake: Fake, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = job("GitLab", fake, report.parent, CI_MERGE_REQUEST_IID="")
    assert main([str(report)], environ) == 0
    assert capsys.readouterr().out == "no pull request: nothing was posted\n"
    assert fake.requests == []


def test_long_report_is_cut_to_what_the_service_accepts(fake: Fake, report: Path) -> None:
    paragraphs = "\n\n".join(f"paragraph {number}" for number in range(9000))
    report.write_text(f"# Passed\n\n<details>\n\n{paragraphs}\n\n</details>\n")
    assert main([str(report)], job("GitHub", fake, report.parent)) == 0
    (body,) = bodies(fake)
    assert len(body) <= 65_536
    assert body.count("<details>") == body.count("</details>") == 1
    assert body.endswith("The rest was left out, as a comment has a limit.\n")


def test_report_gives_no_command() -> None:
    assert body_of("m\n", "/approve\na /b\n/merge x\n", 200) == "m\n\\/approve\na /b\n\\/merge x\n"


def test_text_without_paragraphs_is_cut_too() -> None:
    assert len(body_of("m\n", "x" * 1000, 200)) <= 200


@pytest.mark.parametrize("key", ["a b", "", "-->", "x" * 65])
def test_key_that_would_end_the_marker_is_refused(key: str, report: Path) -> None:
    with pytest.raises(SystemExit):
        main([f"--key={key}", str(report)], {})
