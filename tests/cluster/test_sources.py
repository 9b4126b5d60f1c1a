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
    (tmp_path / "part").mkdir()
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "part" / "code.py").write_text("x = 1")
    (tmp_path / "part" / "profile.yaml").write_text("x: 1")
    return tmp_path


def digest_of(package: Path) -> str:
    return installed_package("h1", package).digest


@pytest.mark.parametrize("name", ["part/code.py", "part/profile.yaml", "part/new.py"])
def test_changed_or_added_file_changes_package_digest(package: Path, name: str) -> None:
    before = digest_of(package)
    (package / name).write_text("x = 2")
    assert digest_of(package) != before


def test_moved_file_changes_package_digest(package: Path) -> None:
    before = digest_of(package)
    (package / "part" / "code.py").rename(package / "code.py")
    assert digest_of(package) != before


def test_caches_and_hidden_files_do_not_change_package_digest(package: Path) -> None:
    before = digest_of(package)
    (package / "part" / "__pycache__").mkdir()
    (package / "part" / "__pycache__" / "code.pyc").write_text("")
    (package / "part" / ".code.py.swp").write_text("")
    assert digest_of(package) == before


def test_equal_packages_are_accepted() -> None:
    check_same_package([InstalledPackage(host, "1.0", "abc") for host in ("h1", "h1", "h2")])


@pytest.mark.parametrize(
    ("version", "digest"), [("1.1", "abc"), ("1.0", "abd")], ids=["version", "files"]
)
def test_package_error_names_hosts_of_each_version(version: str, digest: str) -> None:
    installed = [InstalledPackage(host, "1.0", "abc") for host in ("h1", "h1", "h3")]
    with pytest.raises(DifferentSourcesError) as error:
        check_same_package([*installed, InstalledPackage("h2", version, digest)])
    assert str(error.value) == (
        "mlpstorage_bench differs between hosts: 1.0 (files abc) on h1, h3; "
        f"{version} (files {digest}) on h2. Install the same on every host"
    )


def test_digest_names_are_relative_to_the_root(tmp_path: Path) -> None:
    found = []
    for root in (tmp_path / "here", tmp_path / "there"):
        root.mkdir()
        (root / "test_a.py").write_text("1")
        found.append(digests([root / "test_a.py"], root))
    assert found[0] == found[1]
    assert found[0][0][0] == "test_a.py"
