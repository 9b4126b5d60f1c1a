"""pytest-benchmark's JSON for this package's tests, made through its own hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pytest

from mlpstorage_bench.results.benchmark_document import BenchmarkDocument
from mlpstorage_bench.session.pytest_internals.benchmark_plugin import as_json_holds


def maker(config: pytest.Config) -> Callable[[Sequence[object]], BenchmarkDocument]:
    """Return a function that makes the document from pytest-benchmark's statistics of tests."""

    @cache
    def machine_info() -> object:
        info: object = config.hook.pytest_benchmark_generate_machine_info(config=config)
        config.hook.pytest_benchmark_update_machine_info(config=config, machine_info=info)
        return info

    def make(statistics: Sequence[object]) -> BenchmarkDocument:
        commit_info = config.hook.pytest_benchmark_generate_commit_info(config=config)
        config.hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit_info)
        document: object = config.hook.pytest_benchmark_generate_json(
            config=config,
            benchmarks=list(statistics),
            include_data=True,
            machine_info=machine_info(),
            commit_info=commit_info,
        )
        return BenchmarkDocument.of(as_json_holds(document))

    return make


def branch_of_tests(config: pytest.Config) -> str | None:
    """Return the branch of the tests' repository; None without one, or without pytest-benchmark."""
    if not config.pluginmanager.hasplugin("benchmark"):
        return None
    commit_info = config.hook.pytest_benchmark_generate_commit_info(config=config)
    config.hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit_info)
    branch = commit_info.get("branch")
    return None if branch is None else str(branch)
