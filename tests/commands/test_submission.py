"""The command --mlps-submission: from a run to a directory that keeps the rules."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
import yaml

from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.session.tiny import TINY
from tests.submission.filling import filled
from tests.validation.trees import ORGANIZATION, SYSTEM, Submission
from tests.variants import first_of

pytestmark = pytest.mark.slow
MEMORY = Path("/dev/shm")
"""Another filesystem than that of pytest's files."""

KILLED = """
import os, signal
from mlpstorage_bench.submission import assembly

assembly.add_images = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
"""A plugin that kills the command when it has copied the runs."""


@pytest.fixture
def results(pytester: pytest.Pytester) -> Path:
    """A results directory with the published form, without a system's description."""
    tree = Submission(pytester.path / "results").write()
    shutil.rmtree(tree / "closed" / ORGANIZATION / "systems")
    return tree


def submit(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--mlps-results-dir=results", *options)


def run_with_results_elsewhere(pytester: pytest.Pytester, *options: str) -> None:
    """Run a test whose results, unlike its cache, are in memory; then move them to `results`."""
    if not MEMORY.is_dir():
        pytest.skip(f"needs {MEMORY}")
    pytester.makepyfile("def test_one(kvcache): kvcache.run('1')")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        result = pytester.runpytest_subprocess(*TINY, f"--mlps-results-dir={folder}", *options)
        assert result.ret == 0
        shutil.copytree(folder, "results")


def fill(directory: Path) -> None:
    """Do what a person has to do: fill in the descriptions, and add a PDF file to each."""
    for path in directory.glob("*/*/systems/*.yaml"):
        path.write_text(filled(path.read_text()))
        path.with_suffix(".pdf").write_bytes(b"%PDF-1.7")


@pytest.mark.long
@pytest.mark.usefixtures("results")
def test_submission_ends_with_1_until_a_person_has_described_the_system(
    pytester: pytest.Pytester,
) -> None:
    result = submit(pytester, "--mlps-submission=new")
    assert result.ret == 1
    systems = f"{pytester.path}/new/closed/{ORGANIZATION}/systems"
    result.stdout.fnmatch_lines(
        [
            f"violated*2.1.7*closed/{ORGANIZATION}*no {SYSTEM}.pdf",
            f"*{SYSTEM}.yaml: line 8, solution.submission_name:*",
            "1 violated: the tree fails",
            f"submission of 1 run: {pytester.path}/new",
            f"fill in {systems}/{SYSTEM}.yaml, and put {SYSTEM}.pdf beside it",
            f"then check it: pytest --mlps-validate {pytester.path}/new",
        ]
    )
    fill(Path("new"))
    assert pytester.runpytest_subprocess("--mlps-validate=new").ret == 0


@pytest.mark.long
@pytest.mark.usefixtures("results")
def test_filled_description_is_taken_for_another_submission(
    pytester: pytest.Pytester,
) -> None:
    submit(pytester, "--mlps-submission=draft")
    fill(Path("draft"))
    systems = Path("draft") / "closed" / ORGANIZATION / "systems"
    result = submit(pytester, "--mlps-submission=final", f"--mlps-submission-systems={systems}")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("fill in*")
    for name in (f"{SYSTEM}.yaml", f"{SYSTEM}.pdf"):
        copy = Path("final") / "closed" / ORGANIZATION / "systems" / name
        assert copy.read_bytes() == (systems / name).read_bytes()
    table = Path("final") / "closed" / ORGANIZATION / "results" / "results.csv"
    with table.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["Public ID"], row["Type"], row["RU's"]) == ("", "Shared remote file", "2")


def test_copies_are_equal_and_images_are_those_that_the_runs_name(
    pytester: pytest.Pytester, results: Path
) -> None:
    submit(pytester, "--mlps-submission=new")
    for path in results.rglob("*"):
        copy = Path("new") / path.relative_to(results)
        if path.is_file() and path.name != ".mlps-history.sqlite":
            is_marker = path.name == ".mlps-image-pool"
            assert is_marker or copy.read_bytes() == path.read_bytes(), path
    texts = [path.read_text() for path in Path("new").rglob("*.[cjy]*") if path.is_file()]
    assert not [text for text in texts if ".tmp/" in text], "files name none of where they were"
    assert not [*Path("new").rglob("provenance.json")], "stamps of others are not made up"
    manifest = yaml.safe_load(next(Path("new").rglob("submission.yaml")).read_text())
    assert [run["provenance"] for run in manifest["runs"]] == ["derived"]
    assert manifest["systems"] == [
        {"name": SYSTEM, "description": f"systems/{SYSTEM}.yaml", "pdf": "missing"}
    ]


def test_own_run_becomes_a_submission_whose_image_is_this_package(
    pytester: pytest.Pytester,
) -> None:
    run_with_results_elsewhere(pytester, "--mlps-systemname=array")
    plain = pytester.runpytest_subprocess("--mlps-validate=results")
    assert "a results directory has none: pytest --mlps-submission=DIR makes it" in (
        " ".join(plain.stdout.str().split())
    )
    assert submit(pytester, "--mlps-submission=new").ret == 1
    fill(Path("new"))
    findings = validate(read_tree(Path("new")))
    violated = {one.rule: one.reasons for one in findings if one.verdict == "violated"}
    assert violated == {}
    met = {one.rule for one in findings if one.verdict == "ok"}
    assert {"2.1.6", "PROV-01", "PROV-02", "EDN-01", "EDN-04"} <= met
    stamp = json.loads(next(Path("new").rglob("provenance.json")).read_text())
    assert stamp["tool"]["name"] == "mlpstorage_bench"
    assert stamp["tool"]["version"] == importlib.metadata.version("mlpstorage_bench")
    assert (stamp["core_config"]["hash"], stamp["core_config"]["keys"]) == ("unknown", [])
    assert stamp["provenance"].keys() == {
        *("rules_edition", "layout_version", "tool", "dlio", "storage_library", "core_config"),
    }
    manifest = yaml.safe_load(next(Path("new").rglob("submission.yaml")).read_text())
    (run,) = manifest["runs"]
    assert run["provenance"] == f"{run['leaf']}/provenance.json"
    assert run["code_image"] == stamp["tool"]["code_image"]
    assert manifest["tool_versions"] == [stamp["tool"]["version"]]
    assert manifest["code_images"] == [run["code_image"]]
    image = next(Path("new").glob("code-images/code-*"))
    assert (image / "plugin.py").is_file()
    assert json.loads((image / ".code-hash.json").read_text())["git_sha"] is None


@pytest.mark.long
@pytest.mark.launches_mpi
@pytest.mark.starts_process
def test_run_of_two_ranks_becomes_a_submission(pytester: pytest.Pytester) -> None:
    run_with_results_elsewhere(
        pytester, "--mlps-num-processes=2", "--mlps-oversubscribe", "--mlps-allow-run-as-root"
    )
    assert submit(pytester, "--mlps-submission=new").ret == 1
    fill(Path("new"))
    assert pytester.runpytest_subprocess("--mlps-validate=new").ret == 0
    assert len([*Path("new").rglob("rank_1/*.json")]) == 2


def test_run_of_other_code_has_no_image(pytester: pytest.Pytester, results: Path) -> None:
    shutil.rmtree(results / "code-images")
    result = submit(pytester, "--mlps-submission=new")
    assert result.ret == 1
    result.stderr.fnmatch_lines(
        ["*no image of the code *, which is not that of this installation*"]
    )
    result.stdout.fnmatch_lines(["violated *2.1.6*"])


@pytest.mark.usefixtures("results")
def test_directory_that_holds_something_is_refused(
    pytester: pytest.Pytester,
) -> None:
    Path("new").mkdir()
    (Path("new") / "work").write_text("years of work")
    result = submit(pytester, "--mlps-submission=new")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--mlps-submission: got 'new'; accepted: a new or empty dir*"])
    assert [path.name for path in Path("new").iterdir()] == ["work"]
    assert not [*pytester.path.glob(".mlps-*")]


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("place", first_of("new", "empty"))
def test_submission_that_was_killed_is_made_anew(pytester: pytest.Pytester, place: str) -> None:
    Path("empty").mkdir()
    pytester.makepyfile(killed=KILLED)
    assert submit(pytester, "-p", "killed", f"--mlps-submission={place}").ret == -signal.SIGKILL
    again = submit(pytester, f"--mlps-submission={place}")
    if place == "empty":
        assert again.ret == 4
        again.stderr.fnmatch_lines(
            ["*It holds what a killed --mlps-submission has left, as .mlps-*"]
        )
        for left in Path(place).iterdir():
            shutil.rmtree(left)
        again = submit(pytester, f"--mlps-submission={place}")
    assert again.ret == 1
    again.stdout.fnmatch_lines([f"submission of 1 run: {pytester.path}/{place}"])


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mlps-submission=results/new",), "*in the results directory*"),
        pytest.param(
            ("--mlps-submission=a_file",),
            "*It exists, and is no directory*",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("--mlps-submission=new", "--mlps-history-model=none"),
            "*got 'no run'*",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("--mlps-submission=new", "--mlps-submission-run=1"),
            "*--mlps-submission-run: got '1'*",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("--mlps-submission=new", "--mlps-history=1"),
            "*--mlps-history: got '1'*",
            marks=pytest.mark.long,
        ),
        (("--mlps-submission=new", "--mlps-history-rm=1"), "*got '--mlps-history-rm'; accepted*"),
        pytest.param(
            ("--mlps-submission-run=1",),
            "*with --mlps-submission=DIR alone*",
            marks=pytest.mark.long,
        ),
        (
            ("--mlps-submission=new", "--mlps-submission-systems=results"),
            "*--mlps-submission-systems: got 'results'; accepted: a directory with array-1.pdf*",
        ),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    pytester: pytest.Pytester, options: tuple[str, ...], message: str
) -> None:
    Path("a_file").touch()
    result = submit(pytester, *options)
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])
    assert not Path("new").exists()


@pytest.mark.usefixtures("results")
def test_reports_have_the_verdicts_of_the_submission(
    pytester: pytest.Pytester,
) -> None:
    submit(
        pytester,
        *("--mlps-submission=new", "--mlps-validate-report=a.json", "--junitxml=j.xml"),
    )
    assert json.loads(Path("a.json").read_text())["runs"] == 1
    assert "2.1.7 systemsDirectoryFiles" in Path("j.xml").read_text()


def test_files_that_cannot_be_written_are_a_usage_error(
    pytester: pytest.Pytester, results: Path
) -> None:
    system = results / "closed" / ORGANIZATION / "results" / SYSTEM
    system.rename(system.with_name("x" * 252))  # with .yaml, longer than a name may be
    result = submit(pytester, "--mlps-submission=new")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--mlps-submission: got *; accepted: *File name too long*"])


def test_links_among_the_files_are_left_out_and_named(
    pytester: pytest.Pytester, results: Path
) -> None:
    leaf = next(results.rglob("summary.json")).parent
    (leaf / "log").symlink_to("/etc/passwd")
    result = submit(pytester, "--mlps-submission=new")
    result.stderr.fnmatch_lines(["mlpstorage: */log is no regular file and was not copied"])
    assert not [*Path("new").rglob("log")]
