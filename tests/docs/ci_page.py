"""Workflows in docs/ci.md, and the pytest commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"


def workflows() -> list[dict[Any, Any]]:
    texts = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [yaml.safe_load(text) for text in texts]


def github_steps() -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = workflows()[0]["jobs"]["benchmark"]["steps"]
    return steps


def commands() -> dict[str, list[str]]:
    """Return the commands that run pytest, by CI."""
    github = [step["run"] for step in github_steps() if "pytest" in step.get("run", "")]
    job = workflows()[1]["storage"]
    gitlab = [line for line in (*job["script"], *job["after_script"]) if " -m pytest" in line]
    return {"github": github, "gitlab": gitlab}


def gate_arguments(ci: str, cache_dir: str) -> list[str]:
    """Return pytest's arguments in the command that runs and gates the benchmark."""
    run, _ = commands()[ci]
    program, *arguments = shlex.split(run.replace("/mnt/array/cache", cache_dir))
    assert program == ".venv/bin/python"
    assert arguments[:2] == ["-m", "pytest"]
    return arguments[2:]


def uploads(ci: str) -> list[str]:
    """Return the patterns of the files that a job keeps."""
    if ci == "gitlab":
        kept: list[str] = workflows()[1]["storage"]["artifacts"]["paths"]
        return kept
    (step,) = [step for step in github_steps() if "upload-artifact" in step.get("uses", "")]
    return str(step["with"]["path"]).split()
