"""Pointer of a run to the image of the code that ran, and the hash of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.results.code_image import PACKAGE, POINTER, pointer_to, tree_files, tree_hash
from tests.session.tiny import TINY


def test_hash_covers_names_and_contents_of_source_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = tree_hash(tmp_path)
    for left_out in (".hidden", "a.pyc", "tests/b.py", "__pycache__/c.py", "d.egg-info/e"):
        (tmp_path / left_out).parent.mkdir(exist_ok=True)
        (tmp_path / left_out).write_text("2")
    (tmp_path / "link.py").symlink_to("a.py")
    assert tree_hash(tmp_path) == before
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    renamed = tree_hash(tmp_path)
    (tmp_path / "b.py").write_text("3")
    assert len({before, renamed, tree_hash(tmp_path)}) == 3


def test_image_of_this_package_has_its_modules_and_data() -> None:
    names = {file.relative_to(PACKAGE).as_posix() for file in tree_files(PACKAGE)}
    assert {"plugin.py", "report/templates/report.html", "benchmarks/test_kvcache.py"} <= names


@pytest.mark.long
@pytest.mark.slow
def test_run_and_its_conversion_name_the_code_that_ran(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(kvcache): kvcache.run('1')")
    result = pytester.runpytest_subprocess(*TINY, "--mlps-set=storage=null")
    assert result.ret == 0
    (pointer,) = Path("results").rglob(POINTER)
    assert pointer.read_text() == pointer_to(tree_hash(PACKAGE))
    (document,) = pointer.parent.glob("pytest_benchmark_*.json")
    command = (f"--mlps-convert={document}", "--mlps-results-dir=again")
    assert pytester.runpytest_subprocess(*command).ret == 0
    (converted,) = Path("again").rglob(POINTER)
    assert converted.read_bytes() == pointer.read_bytes()
