"""Conversion of pytest-benchmark's JSON, also of earlier versions, to the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.reading import read_run
from mlpstorage_bench.results.convert import convert_file

OLD = Path(__file__).parent / "old"


def converted(document: Path, results_dir: Path) -> Path:
    (path,) = convert_file(document, results_dir, registry.load)
    return path


@pytest.mark.parametrize("document", sorted(OLD.glob("*.json")), ids=lambda path: str(path.stem))
def test_documents_of_earlier_schemas_convert_to_files_that_history_and_gate_read(
    document: Path, tmp_path: Path
) -> None:
    path = converted(document, tmp_path)
    metadata = json.loads(path.read_text())
    whole, failed = (metadata["mlpstorage"]["cases"][name] for name in ("1", "2"))
    assert [trial["trial"] for trial in whole["trials"]] == [1, 2]
    assert "failed_trial" not in whole
    assert [trial["trial"] for trial in failed["trials"]] == [1]
    assert failed["failed_trial"]["failure"].startswith("rank 0 on node-a: opening ")
    assert metadata["mlpstorage"]["metrics"]["1"]["trials"] == 2
    assert metadata["mlpstorage"]["metrics"]["2"] is None
    files = sorted(
        str(file.relative_to(path.parent)) for file in path.parent.glob("option_*/*/*/*")
    )
    assert [file.rpartition("/")[0] for file in files] == [
        "option_1/trial_0/rank_0",
        "option_1/trial_1/rank_0",
        "option_2/trial_0/rank_0",
    ]
    assert [case.name for case in read_run(path).run.cases] == ["1", "2"]
    series = read_series("--mlps-gate", path)
    assert [len(series.cases[name].trials) for name in ("1", "2")] == [2, 1]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"planned_trials": "many"}, "planned_trials: Input should be a valid integer"),
        ({"trials": [{"trial": 1}]}, r"trials\.0\.metrics: Field required"),
    ],
)
def test_unusable_case_is_an_input_error_that_names_the_test_and_the_field(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    document = json.loads((OLD / "pytest_benchmark_schema_1.json").read_text())
    document["benchmarks"][0]["extra_info"]["mlpstorage"] |= changes
    source = tmp_path / "changed.json"
    source.write_text(json.dumps(document))
    with pytest.raises(InvalidInputError, match=rf"test_runs.py::test_whole.*{problem}"):
        converted(source, tmp_path / "results")


def test_record_without_parameters_is_converted(tmp_path: Path) -> None:
    document = json.loads((OLD / "pytest_benchmark_schema_1.json").read_text())
    document["mlpstorage"]["parameters"] = {}
    source = tmp_path / "changed.json"
    source.write_text(json.dumps(document))
    metadata = json.loads(converted(source, tmp_path / "results").read_text())
    assert metadata["kvcache_model"] is None


@pytest.mark.parametrize("commit", [{"id": True}, {"branch": 5}])
def test_document_whose_metadata_nothing_could_read_is_refused_and_leaves_no_file(
    tmp_path: Path, commit: dict[str, object]
) -> None:
    document = json.loads((OLD / "pytest_benchmark_schema_1.json").read_text())
    source = tmp_path / "changed.json"
    source.write_text(json.dumps(document | {"commit_info": commit}))
    (name,) = commit
    with pytest.raises(InvalidInputError, match=rf"mlpstorage\.commit_info\.{name}: got "):
        converted(source, tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("summary",), 5),
        (("summary", "avg_throughput_tokens_per_sec"), "fast"),
        (("summary", "cache_stats", "storage_read_device_p95_ms"), "fast"),
        (("mlpstorage",), []),
    ],
)
def test_incomplete_result_of_a_rank_is_an_input_error_that_names_the_field(
    tmp_path: Path, path: tuple[str, ...], value: object
) -> None:
    document = json.loads((OLD / "pytest_benchmark_schema_1.json").read_text())
    record = document["benchmarks"][0]["extra_info"]["mlpstorage"]
    inner = record["trials"][0]["ranks"][0]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    source = tmp_path / "changed.json"
    source.write_text(json.dumps(document))
    with pytest.raises(InvalidInputError, match=rf"trial 1 of case 1: .*{'.'.join(path)}"):
        converted(source, tmp_path / "results")
