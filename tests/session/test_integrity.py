"""Checks of a session's hosts: real preloaded libraries, found in closed and open runs."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage.page_counts import count_pages
from tests.conftest import WITHOUT_TEST_TOOLS, mpirun
from tests.preloads import ALLOCATOR, HARMLESS, NO_DROP, NO_FLUSH, build
from tests.sandbox import MODULE, need_seccomp
from tests.session.tiny import TINY
from tests.variants import first_of

Mount = Callable[[str, str], Path]
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no")
NO_TRIAL = "def test_open(mlps_run): pass\n"
ONE_TRIAL = "def test_run(kvcache): kvcache.run(1)\n"


def run_in(
    folder: Path, test: str, *options: str, library: Path | None = None, ranks: int = 1
) -> str:
    """Run a test in a process of its own, with a library preloaded."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(test)
    environ = {**os.environ, "PYTEST_ADDOPTS": WITHOUT_TEST_TOOLS, "COLUMNS": "160"}
    launcher = mpirun(ranks) if ranks > 1 else []
    if library is not None:
        exported = ["-x", f"LD_PRELOAD={library}"]
        launcher += exported * (ranks > 1)
        environ |= {} if ranks > 1 else {"LD_PRELOAD": str(library)}
    done = subprocess.run(
        [*launcher, *PYTEST, "--mlps-cache-dir=cache", *options],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metadata_in(results: Path) -> dict[str, Any]:
    (path,) = results.rglob("*_metadata.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def verdicts(metadata: dict[str, Any]) -> dict[str, str]:
    checks = metadata["system_info"]["mlpstorage"]["checks"]
    return {check["check"]: check["verdict"] for check in checks}


def validate(folder: Path, results: Path) -> str:
    done = subprocess.run(
        [*PYTEST, f"--mlps-validate={results}"],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": WITHOUT_TEST_TOOLS, "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "\n".join(line for line in done.stdout.splitlines() if "X-preload" in line)


def skip_unless_pages_are_counted(folder: Path) -> None:
    with (folder / "counted").open("w+b") as file:
        file.write(bytes(4096))
        file.flush()
        if not count_pages(file.fileno(), 4096).unwritten:
            pytest.skip("needs cachestat (Linux 6.5) and a filesystem whose pages it counts")


FAKES = [
    pytest.param(NO_FLUSH, "fsync is in ", "finding", id="no flush"),
    pytest.param(NO_DROP, "posix_fadvise is in ", "ok", id="no drop"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "seen", "flush"), first_of(*FAKES))
def test_closed_run_with_a_library_that_fakes_storage_is_invalid(
    tmp_path: Path, mount: Mount, source: str, seen: str, flush: str
) -> None:
    skip_unless_pages_are_counted(tmp_path)
    library = build(tmp_path, source)
    results = mount("tmpfs", "size=64m")
    options = ("--mlps-mode=closed", f"--mlps-results-dir={results}", "--mlps-report=report.md")
    output = run_in(tmp_path, NO_TRIAL, *options, library=library)
    metadata = metadata_in(results)
    assert metadata["verification"] == "INVALID"
    first = metadata["mlpstorage"]["not_valid_because"][0]
    assert f"functions of the C library: {seen}{library}" in first
    assert verdicts(metadata)["functions of the C library"] == "finding"
    assert verdicts(metadata)["flush of the page cache"] == flush
    assert output.index(f"mlpstorage: INVALID because {first}") < output.index("test_it.py")
    assert f"\nINVALID because {first}" in output
    assert output.count("closed mode: INVALID") == 2, "above the table, and as the last line"
    assert f"finding   {seen}{library}" in output
    line = validate(tmp_path, results)
    assert line.startswith("violated")
    assert str(library) in line
    assert "INVALID" in (tmp_path / "report.md").read_text()


def test_closed_run_on_a_filesystem_in_memory_states_that_nothing_is_measurable(
    pytester: pytest.Pytester, mount: Mount
) -> None:
    cache = mount("tmpfs", "size=64m")
    pytester.makepyfile(NO_TRIAL)
    options = ("--mlps-mode=closed", "--mlps-results-dir=results", f"--mlps-cache-dir={cache}/c")
    result = pytester.runpytest(*options)
    reason = "flush of the page cache: not measurable: tmpfs keeps files in memory"
    result.stdout.fnmatch_lines([f"closed mode: not confirmed: *: {reason}"])
    assert "finding" not in verdicts(metadata_in(pytester.path / "results")).values()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("source", first_of(ALLOCATOR, HARMLESS), ids=["allocator", "harmless"])
def test_preloaded_library_that_changes_no_storage_is_a_fact_and_no_finding(
    tmp_path: Path, mount: Mount, source: str
) -> None:
    library = build(tmp_path, source)
    results = mount("tmpfs", "size=64m")
    options = ("--mlps-mode=closed", f"--mlps-results-dir={results}")
    run_in(tmp_path, NO_TRIAL, *options, library=library)
    metadata = metadata_in(results)
    assert "finding" not in verdicts(metadata).values()
    assert metadata["mlpstorage"]["not_valid_because"] == [
        f"workload {number}: it did not run" for number in (1, 2, 3)
    ]
    (host,) = metadata["system_info"]["mlpstorage"]["hosts"]
    assert host["processes"][0]["preloads"]["ld_preload"] == str(library)
    assert str(library) in host["libraries"]
    line = validate(tmp_path, results)
    assert "violated" not in line
    assert "warning" not in line


@pytest.mark.long
@pytest.mark.slow
def test_open_run_has_notes_on_findings_and_its_figures_are_marked(tmp_path: Path) -> None:
    skip_unless_pages_are_counted(tmp_path)
    library = build(tmp_path, NO_DROP)
    options = (*TINY, "--mlps-set=io_mode=buffered")
    output = run_in(tmp_path, ONE_TRIAL, *options, library=library)
    metadata = metadata_in(tmp_path / "results")
    assert metadata["verification"] == "OPEN"
    assert metadata["mlpstorage"]["not_valid_because"] == []
    assert verdicts(metadata)["drop of cached pages"] == "finding"
    notes = [note for note in metadata["mlpstorage"]["notes"] if "drop of cached pages" in note]
    assert len(notes) == 1
    assert f"note: {notes[0]}" in output
    assert "finding" in output, "the table of checks"
    (path,) = (tmp_path / "results").rglob("summary.json")
    summary = json.loads(path.read_text())
    reasons = summary["mlpstorage"]["cases"]["1"]["not_valid_because"]
    assert notes[0] in reasons


def test_run_without_storage_probes_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE_TRIAL)
    result = pytester.runpytest(*TINY, "--mlps-set=storage=null")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*flush of the page cache*")
    metadata = metadata_in(pytester.path / "results")
    assert verdicts(metadata)["flush of the page cache"] == "not measurable"
    (host,) = metadata["system_info"]["mlpstorage"]["hosts"]
    assert host["page_cache"]["problem"] == "no case of the plan stores anything"


def test_honest_run_has_facts_and_no_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE_TRIAL)
    result = pytester.runpytest(*TINY)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*functions of the C library*")
    metadata = metadata_in(pytester.path / "results")
    assert "finding" not in verdicts(metadata).values()
    assert "drop of cached pages" not in verdicts(metadata), "direct I/O drops nothing"
    (host,) = metadata["system_info"]["mlpstorage"]["hosts"]
    assert {"kernel", "limits", "mounts", "devices", "libraries", "page_cache"} <= host.keys()
    assert not list(pytester.path.rglob("*page-cache-probe*"))


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.slow
def test_each_rank_s_process_is_looked_at_and_each_host_is_probed_once(tmp_path: Path) -> None:
    skip_unless_pages_are_counted(tmp_path)
    library = build(tmp_path, NO_FLUSH)
    options = (*TINY, "--mlps-set=durability=fsync")
    run_in(tmp_path, ONE_TRIAL, *options, library=library, ranks=2)
    metadata = metadata_in(tmp_path / "results")
    (host,) = metadata["system_info"]["mlpstorage"]["hosts"]
    (process,) = host["processes"]
    assert process["ranks"] == [0, 1]
    assert process["preloads"]["ld_preload"] == str(library)
    assert len(host["page_cache"]["flushes"]) == 1
    assert verdicts(metadata)["flush of the page cache"] == "finding"
    notes = [note for note in metadata["mlpstorage"]["notes"] if "fsync is in" in note]
    assert len(notes) == 1


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("io_mode", "denied", "error"),
    [
        ("buffered", ("cachestat", "mincore"), errno.EPERM),
        pytest.param("buffered", ("cachestat",), errno.ENOSYS, marks=pytest.mark.long),
        pytest.param("direct", ("cachestat", "mincore"), errno.ENOSYS, marks=pytest.mark.long),
    ],
)
def test_run_in_a_sandbox_has_no_finding_and_keeps_its_audit(
    tmp_path: Path, io_mode: str, denied: tuple[str, ...], error: int
) -> None:
    need_seccomp()
    (tmp_path / "sandbox.py").write_text(MODULE)
    (tmp_path / "conftest.py").write_text(f"from sandbox import deny\ndeny({error}, *{denied!r})\n")
    run_in(tmp_path, ONE_TRIAL, *TINY, f"--mlps-set=io_mode={io_mode}", "--mlps-trials=1")
    metadata = metadata_in(tmp_path / "results")
    checks = verdicts(metadata)
    assert "finding" not in checks.values(), metadata["system_info"]["mlpstorage"]["checks"]
    if "mincore" in denied:
        seen = {one["check"]: one for one in metadata["system_info"]["mlpstorage"]["checks"]}
        for name in {"flush of the page cache", "drop of cached pages"} & checks.keys():
            assert checks[name] == "not measurable"
            assert os.strerror(error) in seen[name]["seen"]
    (host,) = metadata["system_info"]["mlpstorage"]["hosts"]
    assert host["kernel"]["seccomp"] == "2"
    case = metadata["mlpstorage"]["metrics"]["1"]
    assert case["audit_verdict"] not in {"served from page cache", None}
