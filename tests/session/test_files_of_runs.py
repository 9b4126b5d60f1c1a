"""Reports and exports of a session with several runs: no run overwrites another's file."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.session.file_arguments import files_of_runs

REPORT = Path("out/report.html")


def names(*runs: tuple[str, str]) -> list[str]:
    return [path.name for path in files_of_runs(REPORT, runs)]


def test_the_file_of_the_only_run_has_its_own_name() -> None:
    assert files_of_runs(REPORT, [("kv_cache", "llama3.1-8b")]) == [REPORT]


def test_files_of_runs_have_type_and_model() -> None:
    assert names(("kv_cache", "llama3.1-8b"), ("training", "unet3d")) == [
        "report-kv_cache-llama3.1-8b.html",
        "report-training-unet3d.html",
    ]


def test_runs_of_one_type_and_model_are_numbered() -> None:
    closed = [("training", "unet3d")] * 3
    assert names(*closed, ("training", "retinanet")) == [
        *(f"report-training-unet3d-{number}.html" for number in (1, 2, 3)),
        "report-training-retinanet.html",
    ]
