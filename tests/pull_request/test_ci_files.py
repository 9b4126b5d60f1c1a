"""The action for GitHub and the job for GitLab, run as their services run them, on fakes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pull_request.fake_services import fake_service
from tests.pull_request.test_comment import bodies, job

PROJECT = Path(__file__).parents[2]
ACTION = PROJECT / ".github/actions/comment/action.yml"
BASH = shutil.which("bash") or "/bin/bash"
TEMPLATE = PROJECT / "examples/ci/gitlab-comment.yml"


def test_action_declares_what_it_uses() -> None:
    action: dict[str, Any] = yaml.safe_load(ACTION.read_text())
    (step,) = action["runs"]["steps"]
    used = set(step["env"].values())
    assert used == {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    assert "${{" not in step["run"], "values of inputs would be parsed by the shell"


@pytest.mark.slow
@pytest.mark.starts_process
@pytest.mark.parametrize("service", ["GitHub", "GitLab"])
def test_job_posts_the_report_and_hostile_names_stay_arguments(
    tmp_path: Path, service: str
) -> None:
    report = tmp_path / "$(touch x) 'r'.md"
    report.write_text("# Passed\n")
    with fake_service() as fake:
        if service == "GitHub":
            (step,) = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
            commands = [step["run"]]
            own = {"REPORT": str(report), "KEY": "k", "PYTHON": sys.executable}
        else:
            template = yaml.safe_load(TEMPLATE.read_text())[".storage-report"]
            commands = template["after_script"]
            own = {
                **template["variables"],
                "STORAGE_REPORT": str(report),
                "STORAGE_PYTHON": sys.executable,
            }
        variables = {**job(service, fake, tmp_path), **own, "no_proxy": "127.0.0.1"}
        for command in commands:
            subprocess.run(
                [BASH, "-eo", "pipefail", "-c", command],
                env={**os.environ, **variables},
                cwd=tmp_path,
                check=True,
            )
        (body,) = bodies(fake)
    assert body.endswith("# Passed\n")
    assert not (tmp_path / "x").exists()
