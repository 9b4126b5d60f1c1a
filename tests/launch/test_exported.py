"""Environment variables that are passed to ranks on other hosts."""

from __future__ import annotations

from mlpstorage_bench.launch.launchers.exported import exported_names


def test_variables_of_the_list_are_passed_on_and_no_others() -> None:
    given = {"PATH": "/bin", "UCX_TLS": "tcp", "PYTHONPATH": "/x", "API_KEY": "hush", "HOME": "/"}
    assert exported_names(given) == ["PATH", "PYTHONPATH", "UCX_TLS"]
