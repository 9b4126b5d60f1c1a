"""Failures of storage in the second trial of a run of each type."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench import registry
from tests.mounts import make_ext4
from tests.types.harm import harm
from tests.types.project import Project, Session
from tests.variants import first_of

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]


REASONS = {
    "change": r"CorruptReadsError: .* trial \d.* other data than was written",
    "remove": r"StorageError: rank 0 on \S+: \w+ing \S+ failed: .*\(ENOENT\)",
    "cut": r"StorageError: rank 0 on \S+: \w+ing \S+ failed: the file ends at offset \d+",
}
"""Harm → the error that tells of it."""


def check_failed(project: Project, session: Session, error: str) -> dict[str, Any]:
    """Check a failed run that keeps its first trial and leaves no files; return its metadata."""
    assert session.status == pytest.ExitCode.TESTS_FAILED, session.output
    assert re.search(error, session.output), session.output
    metadata = project.only()
    own: dict[str, Any] = metadata["mlpstorage"]
    assert (metadata["exit_status"], own["status"]) == (1, "failed")
    assert any(re.search(error, test.get("message") or "") for test in own["tests"])
    assert any(case["trials"] for case in own["cases"].values()), "the first trial stays"
    assert project.left() == []
    assert "Traceback" not in session.output
    return metadata


@pytest.mark.parametrize("kind", first_of("change", "remove", "cut"))
def test_harm_to_the_data_fails_the_run_with_path_and_reason(project: Project, kind: str) -> None:
    harm(project, kind)
    session = project.run("--tb=short")
    check_failed(project, session, REASONS[kind])
    assert str(project.cache) in session.output


@pytest.mark.parametrize("type_name", first_of(*registry.names()), indirect=True)
def test_a_full_disk_fails_the_run_with_path_and_reason(
    project: Project, mount: Callable[[str, str], Path]
) -> None:
    if not project.smallest.writes_in_trials:
        pytest.skip(f"no trial of {project.name} writes")
    project.cache = mount("tmpfs", "size=32m") / "cache"
    harm(project, "fill")
    session = project.run(f"--mlps-cache-dir={project.cache}", "--tb=short")
    check_failed(project, session, r"StorageError: rank 0 on \S+: \w+ing \S+ failed: .*\(ENOSPC\)")


@pytest.mark.parametrize("type_name", first_of(*registry.names()), indirect=True)
@pytest.mark.parametrize(
    ("kind", "action"),
    [("write", "(creat|open|preallocat|writ)ing"), ("read", "reading")],
)
def test_a_device_that_fails_ends_the_run_with_path_reason_and_next_step(
    project: Project, mount: Callable[[str, str], Path], kind: str, action: str
) -> None:
    if kind == "write" and not project.smallest.writes_in_trials:
        pytest.skip(f"no trial of {project.name} writes")
    image = project.path / "image"
    make_ext4(image, "-O", "^has_journal")  # which would make it read-only after an error
    project.cache = mount("ext4", f"loop {image}") / "cache"
    harm(project, f"lose_blocks_at_a_{kind}")
    one_lane = project.setting(*project.smallest.one_lane)
    session = project.run(f"--mlps-cache-dir={project.cache}", *one_lane, "--tb=short")
    path = rf"{re.escape(str(project.cache))}/\S+"
    error = (
        rf"StorageError: rank 0 on \S+: {action} {path} failed: .*\(EIO\)\. .*see the kernel's log"
    )
    check_failed(project, session, error)


@pytest.mark.parametrize("type_name", first_of(*registry.names()), indirect=True)
def test_ctrl_c_ends_a_run_that_is_then_resumed(project: Project) -> None:
    harm(project, "interrupt")
    stopped = project.run()
    assert stopped.status == pytest.ExitCode.INTERRUPTED, stopped.output
    metadata = project.only()
    own = metadata["mlpstorage"]
    assert (metadata["exit_status"], own["status"]) == (2, "interrupted")
    assert project.left() == []
    assert "INTERNALERROR" not in stopped.output
    resumed = project.command("--mlps-results-dir=results", f"--mlps-resume={own['run_id']}")
    resumed.passed()
    metadata = project.only()
    own = metadata["mlpstorage"]
    assert (metadata["exit_status"], own["status"]) == (0, "passed")
    assert [part["status"] for part in own["resumed"]["parts"]] == ["interrupted", "passed"]
    for case in own["cases"].values():
        assert [trial["trial"] for trial in case["trials"]] == [1, 2]
    assert project.left() == []
