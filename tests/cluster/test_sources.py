from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.sources import (
    InstalledPackage,
    check_same_package,
    digests,
    installed_package,
)
from mlpstorage_bench.errors import DifferentSourcesError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "room" / "code.py").write_text("x = 1")
    (tmp_path / "room" / "profile.yaml").write_text("x: 1")
    return tmp_path


def digest_of(package: Path) -> str:
    return installed_package("h1", package).digest


@pytest.mark.parametrize("name", ["room/code.py", "room/profile.yaml", "room/new.py"])
def test_a_file_that_is_other_or_more_makes_another_package(package: Path, name: str) -> None:
    before = digest_of(package)
    (package / name).write_text("x = 2")
    assert digest_of(package) != before


def test_a_file_that_moved_makes_another_package(package: Path) -> None:
    before = digest_of(package)
    (package / "room" / "code.py").rename(package / "code.py")
    assert digest_of(package) != before


def test_what_the_interpreter_and_editors_leave_is_not_of_the_package(package: Path) -> None:
    before = digest_of(package)
    (package / "room" / "__pycache__").mkdir()
    (package / "room" / "__pycache__" / "code.pyc").write_text("")
    (package / "room" / ".code.py.swp").write_text("")
    assert digest_of(package) == before


def test_hosts_with_the_same_package_are_accepted() -> None:
    check_same_package([InstalledPackage(host, "1.0", "abc") for host in ("h1", "h1", "h2")])


@pytest.mark.parametrize(
    ("version", "digest"), [("1.1", "abc"), ("1.0", "abd")], ids=["version", "files"]
)
def test_the_error_says_which_hosts_have_what(version: str, digest: str) -> None:
    installed = [InstalledPackage(host, "1.0", "abc") for host in ("h1", "h1", "h3")]
    with pytest.raises(DifferentSourcesError) as error:
        check_same_package([*installed, InstalledPackage("h2", version, digest)])
    assert str(error.value) == (
        "mlpstorage_bench differs between hosts: 1.0 (files abc) on h1, h3; "
        f"{version} (files {digest}) on h2. Install the same on every host"
    )


def test_files_are_named_from_the_root_wherever_a_host_has_it(tmp_path: Path) -> None:
    found = []
    for root in (tmp_path / "here", tmp_path / "there"):
        root.mkdir()
        (root / "test_a.py").write_text("1")
        found.append(digests([root / "test_a.py"], root))
    assert found[0] == found[1]
    assert found[0][0][0] == "test_a.py"
