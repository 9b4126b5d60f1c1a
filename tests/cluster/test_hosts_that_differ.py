"""Hosts that differ: reported differences, and errors before anything is measured."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import pytest

import mlpstorage_bench
from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import TINY, environment, launching, metadata_on, places
from tests.mpis import mpich
from tests.variants import first_of

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

PACKAGE = Path(mlpstorage_bench.__file__).parent
PROFILES = "mlpstorage_bench.kvcache.config.profiles"
TEST = "def test_small(kvcache): kvcache.run(1)\n"


def run(cluster: NamespaceCluster, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a session with a rank on each of two hosts."""
    mpi = mpich()
    return cluster.run(
        "h1",
        *(*launching(mpi, "h1,h2", cluster.agent), *TINY, *places(cluster), *more),
        environment=environment(mpi),
        directory=folder,
    )


def refused(cluster: NamespaceCluster, folder: Path, *more: str) -> str:
    """Return the output of a session that ends before anything is measured."""
    done = run(cluster, folder, *more)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    for host in ("h1", "h2"):
        cache = cluster.seen_by(host, cluster.private / "cache")
        assert not cache.exists() or not list(cache.rglob("*.kv"))
    return done.stdout


@pytest.fixture
def folder(shared: Path) -> Path:
    (shared / "test_it.py").write_text(TEST)
    return shared


def altered(folder: Path, path: Path, old: str, new: str) -> Path:
    """Return a changed copy of a file."""
    text = path.read_text()
    assert old in text
    copy = folder / f"other-{path.name}"
    copy.write_text(text.replace(old, new, 1))
    return copy


def metadata_file(name: str) -> Path:
    """Return the file with a distribution's version."""
    return Path(str(distribution(name).locate_file(""))) / next(
        str(path) for path in distribution(name).files or () if path.name == "METADATA"
    )


@pytest.mark.long
def test_differences_list_the_hosts_of_each_value(cluster: NamespaceCluster, folder: Path) -> None:
    pytest_mpi = metadata_file("pytest-mpi")
    memory = Path("/proc/meminfo")
    total = next(line for line in memory.read_text().splitlines() if line.startswith("MemTotal"))
    for path, old, new in (
        (Path("/etc/os-release"), "PRETTY_NAME=", 'PRETTY_NAME="Another OS"\nWAS='),
        (pytest_mpi, "\nVersion: ", "\nVersion: 99."),
        (memory, total, "MemTotal:       1048576 kB"),
    ):
        cluster.bind("h2", path, altered(folder, path, old, new))
    cache = cluster.private / "cache"
    for host in ("h1", "h2"):
        cluster.do(host, "mkdir", str(cache))
    cluster.mount("h2", cache, "-t", "ramfs", "ramfs")
    done = run(cluster, folder, "--mlps-set=storage_capacity_gb=0.05")
    assert done.returncode == 0, done.stdout
    info = metadata_on(cluster, "h1")["system_info"]
    issues = {issue.partition(" differs ")[0]: issue for issue in info["host_consistency_issues"]}
    assert set(issues) == {
        *("OS release", "Memory", "Version of pytest-mpi", "Cache filesystem type")
    }
    assert issues["OS release"].endswith("; Another OS on h2")
    assert issues["Memory"].endswith("; 1.00 GiB on h2")
    version = distribution("pytest-mpi").version
    assert issues["Version of pytest-mpi"].endswith(f": {version} on h1; 99.{version} on h2")
    assert issues["Cache filesystem type"].endswith(": tmpfs on h1; ramfs on h2")
    assert all(f"note: {issue}" in done.stdout.replace("\n", " ") for issue in issues.values())
    assert [host["mpi_library"] for host in info["hosts"]] == ["MPICH 5.0.2"] * 2
    assert all(abs(host["clock_offset_s"]) < 0.5 for host in info["hosts"])


@pytest.mark.hosts_matrix
def test_different_package_version_on_a_host_is_an_error(
    cluster: NamespaceCluster, folder: Path
) -> None:
    copy = folder / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "names.py").open("a") as file:
        file.write("\n# edited on this host\n")
    cluster.bind("h2", PACKAGE, copy)
    path = metadata_file("mlpstorage-bench")
    version = distribution("mlpstorage-bench").version
    cluster.bind("h2", path, altered(folder, path, f"Version: {version}", "Version: 99.0"))
    said = refused(cluster, folder)
    assert f"mlpstorage_bench differs between hosts: {version} (files " in said
    assert "on h1; 99.0 (files " in said
    assert " on h2. Install the same on every host" in said


@pytest.mark.parametrize("name", first_of("test_it.py", "conftest.py", "own.yaml"))
def test_different_benchmark_file_on_a_host_is_an_error(
    cluster: NamespaceCluster, folder: Path, name: str
) -> None:
    (folder / "conftest.py").write_text("")
    (folder / "own.yaml").write_text(files(PROFILES).joinpath("quick.yaml").read_text())
    other = folder / "other.txt"
    other.write_text(f"{(folder / name).read_text()}# edited on this host\n")
    cluster.bind("h2", folder / name, other)
    said = refused(cluster, folder, "--mlps-profile=own.yaml")
    assert f"rank 1 on h2:\n  another file there: {name} (" in said


@pytest.mark.long
def test_cache_directory_missing_on_a_host_is_an_error(
    cluster: NamespaceCluster, folder: Path
) -> None:
    cluster.do("h1", "mkdir", f"{cluster.private}/cache")
    said = refused(cluster, folder)
    assert f"Existing: {cluster.private}/cache on h1; {cluster.private} on h2" in said


@pytest.mark.long
def test_cache_directory_link_with_different_targets_is_accepted(
    cluster: NamespaceCluster, folder: Path
) -> None:
    for host in ("h1", "h2"):
        cluster.do(host, "mkdir", f"{cluster.private}/local-{host}")
        cluster.do(host, "ln", "-s", f"{cluster.private}/local-{host}", f"{cluster.private}/cache")
    done = run(cluster, folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_unwritable_cache_directory_on_a_host_is_an_error(
    cluster: NamespaceCluster, folder: Path
) -> None:
    cache = cluster.private / "cache"
    for host in ("h1", "h2"):
        cluster.do(host, "mkdir", str(cache))
    cluster.mount("h2", cache, "-t", "tmpfs", "-o", "ro", "tmpfs")
    said = refused(cluster, folder)
    assert "rank 1 on h2: --mlps-cache-dir" in said
    assert "is not writable" in said
    assert "rank 0" not in said


@pytest.mark.long
@pytest.mark.parametrize(
    ("fill", "status", "said"),
    [
        ("0", pytest.ExitCode.TESTS_FAILED, "This run does not fit"),
        ("64k", pytest.ExitCode.USAGE_ERROR, "probing direct I/O on "),
    ],
    ids=["too small", "full"],
)
def test_full_cache_directory_on_a_host_is_an_error(
    cluster: NamespaceCluster, folder: Path, fill: str, status: int, said: str
) -> None:
    cache = cluster.private / "cache"
    for host in ("h1", "h2"):
        cluster.do(host, "mkdir", str(cache))
    cluster.mount("h2", cache, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    cluster.do("h2", "sh", "-c", f"head -c {fill} /dev/zero > {cache}/of-another")
    done = run(cluster, folder)
    assert done.returncode == status, done.stdout
    assert f"rank 1 on h2: {said}" in done.stdout, done.stdout
    assert "rank 0 on h1" not in done.stdout
    if status == pytest.ExitCode.USAGE_ERROR:  # before the run had begun
        assert not list(cluster.seen_by("h1", cluster.private).glob("results/**/*_metadata.json"))
    else:
        assert metadata_on(cluster, "h1")["mlpstorage"]["status"] == "failed"
        assert set(metadata_on(cluster, "h1")["mlpstorage"]["metrics"].values()) <= {None}
