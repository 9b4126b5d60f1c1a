"""Targets that CONTRIBUTING.md and the workflow name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOW = PROJECT / ".github" / "workflows" / "test.yml"


def targets() -> set[str]:
    makefile = (PROJECT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pytest.mark.parametrize(
    "path", [PROJECT / "CONTRIBUTING.md", WORKFLOW], ids=lambda path: path.name
)
def test_targets_that_are_named_exist(path: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", path.read_text()))
    assert {"test", "test-compat"} <= named <= targets()


def test_contributing_names_every_target_for_developers() -> None:
    page = (PROJECT / "CONTRIBUTING.md").read_text()
    assert all(f"`make {target}`" in page for target in targets() - {"lint", "clean"})


def test_workflow_is_yaml_with_steps() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert all(job["steps"] for job in workflow["jobs"].values())
