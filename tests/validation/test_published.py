"""Published runs: their verdicts, and the known cases among them."""

from __future__ import annotations

import json

import pytest

from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import Finding, validate
from tests.validation.published import (
    GOLDEN,
    PUBLISHED,
    findings_of,
    is_absent,
    verdicts_by_run,
    workload_of,
)

pytestmark = pytest.mark.skipif(is_absent(), reason="the published runs are not on this machine")


def finding(run: str, rule: str) -> Finding:
    return next(one for one in findings_of(run) if one.rule == rule)


@pytest.mark.slow
def test_verdicts_are_those_of_the_golden_list() -> None:
    assert verdicts_by_run() == json.loads(GOLDEN.read_text())


def test_preloaded_libraries_are_found() -> None:
    found = finding("kv_cache/20260724_130034", "X-preload")
    assert found.verdict is Verdict.VIOLATED
    assert [reason.rpartition("/")[2] for reason in found.reasons] == [
        "libnofadvise.so was preloaded",
        "libeatmydata.so was preloaded",
        "libtcmalloc_minimal.so.4 was preloaded",
    ]


def test_flush_that_does_nothing_is_violated_beside_a_preload() -> None:
    assert finding("kv_cache/20260724_130034", "X-fsync").verdict is Verdict.VIOLATED


def test_missing_ranks_are_counted() -> None:
    found = finding("kv_cache/20260709_215001", "X-missing-ranks")
    assert found.verdict is Verdict.VIOLATED
    assert sum(int(reason.split()[2]) for reason in found.reasons) == 45


def test_former_name_of_the_summary_is_found() -> None:
    assert finding("kv_cache/20260627_194318", "X-summary-name").verdict is Verdict.VIOLATED


def test_description_of_the_launcher_alone_is_found() -> None:
    found = finding("kv_cache/20260724_130034", "X-hosts")
    assert found.reasons == ("1 of 15 hosts are described",)


@pytest.mark.slow
def test_pointer_to_a_missing_image_is_found() -> None:
    found = next(one for one in validate(read_tree(PUBLISHED)) if one.rule == "2.1.6")
    assert any("20260807_155647: no image" in reason for reason in found.reasons)


def test_two_runs_of_a_system_are_found() -> None:
    workload = workload_of("kv_cache/20260721_223359")
    found = [
        one
        for one in validate(read_tree(workload.path))
        if one.rule == "X-several-runs" and one.verdict is Verdict.WARNING
    ]
    assert found[0].reasons == ("2 runs: 20260721_223359 is the one that is reported",)


def test_option_with_all_its_rank_files_is_recomputed() -> None:
    found = finding("kv_cache/20260721_002332", "6.3.4.1")
    assert "option 1 agrees with its rank files" in found.reasons


def test_runs_with_the_published_options_keep_the_table() -> None:
    runs = ("20260721_002332", "20260807_155647", "20260724_130034", "20260713_173041")
    verdicts = {finding(f"kv_cache/{run}", "6.3.1.1").verdict for run in runs}
    assert verdicts == {Verdict.OK}
