"""The published table: columns in order, the runs that rows are of, and files of CSV and JSON."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from mlpstorage_bench.submission.columns import COLUMNS, Link
from mlpstorage_bench.submission.csv_text import csv_text
from mlpstorage_bench.submission.table import ResultsTable, Row, table_of, write_tables
from mlpstorage_bench.validation.rule import Verdict
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.validation.trees import KV_TIME, Submission, change

pytestmark = pytest.mark.slow  # each test writes a whole tree of results

KV_STORAGE, KV_MEMORY, KV_LARGE = (
    "KVCache llama3.1-8b Storage Only",
    "KVCache llama3.1-8b Storage + Mem",
    "KVCache llama3.1-70b Storage Only",
)


@pytest.fixture
def made(tmp_path: Path) -> Submission:
    made = Submission(tmp_path / "tree")
    made.write()
    return made


def table(made: Submission) -> ResultsTable:
    return table_of(read_tree(made.top))


def set_figures(leaf: Path, **figures: float) -> None:
    change(leaf / "summary.json", lambda document: document["metric"].update(figures))


def row_of(made: Submission, benchmark_type: str) -> Row:
    (row,) = [row for row in table(made).rows if row.cells["Benchmark Type"] == benchmark_type]
    assert tuple(row.cells) == COLUMNS
    return row


def test_columns_are_those_of_the_published_table() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 55
    beginnings = [name.partition(" - ")[0] for name in COLUMNS[14:]]
    assert beginnings == (
        ["Training"] * 6
        + ["Checkpointing"] * 9
        + ["VDB"] * 11
        + ["KVCache"] * 3
        + [KV_STORAGE] * 4
        + [KV_MEMORY] * 4
        + [KV_LARGE] * 4
    )
    assert COLUMNS[:5] == ("Public ID", "Organization", "Division", "Benchmark Type", "Model")
    assert COLUMNS[10:14] == (
        "RU's",
        "Integrated Client Storage (TiB)",
        "Usable Capacity (TiB)",
        "Provisioned Power (W)",
    )
    assert COLUMNS[-4:] == (
        f"{KV_LARGE} - Throughput (tok/s)",
        f"{KV_LARGE} - Read B/W (GiB/s)",
        f"{KV_LARGE} - Write B/W (GiB/s)",
        f"{KV_LARGE} - P95 Read Latency (ms)",
    )


def test_cells_of_a_system_are_those_of_its_description(made: Submission) -> None:
    cells = row_of(made, "kv_cache").cells
    assert [cells[name] for name in COLUMNS[:14]] == [
        "",
        "some-vendor",
        "CLOSED",
        "kv_cache",
        "",
        Link("array-1", "closed/some-vendor/systems/array-1.yaml"),
        Link("PDF", "closed/some-vendor/systems/array-1.pdf"),
        "Shared remote file",
        "POSIX",
        "Available",
        6,
        "",
        100,
        3 * 2 * 1600,
    ]


def test_figures_of_kv_cache_are_those_of_the_summary(made: Submission) -> None:
    row = row_of(made, "kv_cache")
    options = made.kv_summary["options"]
    for option, name in (("1", KV_STORAGE), ("2", KV_MEMORY), ("3", KV_LARGE)):
        recorded = options[option]
        assert [row.cells[f"{name} - {column}"] for column in ("Throughput (tok/s)",)] == [
            recorded["aggregated_avg_throughput_tokens_per_sec"]
        ]
        read = recorded["aggregated_read_bandwidth_gbps"]
        assert row.cells[f"{name} - Read B/W (GiB/s)"] == read
    assert row.cells["KVCache - # Client Nodes"] == 2
    image = f"code-images/code-{made.image_hash[:8]}/"
    assert row.cells["KVCache - Code"] == Link("code", image)


def test_latency_is_the_greatest_of_the_ranks_where_the_summary_has_none(made: Submission) -> None:
    latency = f"{KV_STORAGE} - P95 Read Latency (ms)"
    assert row_of(made, "kv_cache").cells[latency] == 502.0
    summary = made.kv_leaf / "summary.json"
    key = "aggregated_storage_read_p95_ms"
    change(summary, lambda document: document["options"]["1"].update({key: 7.5}))
    assert row_of(made, "kv_cache").cells[latency] == 7.5
    change(summary, lambda document: document["options"]["1"].update({key: None}))
    assert row_of(made, "kv_cache").cells[latency] == ""


@pytest.mark.parametrize("defect", ["partial_failure", "trial_failures", "no summary", "none"])
def test_latest_complete_run_is_reported_and_the_others_named(
    made: Submission, defect: str
) -> None:
    later = made.kv_leaf.with_name("20260805_120000")
    shutil.copytree(made.kv_leaf, later)
    (metadata,) = later.glob("*_metadata.json")
    change(metadata, lambda document: document.update(run_datetime=later.name))
    metadata.rename(later / f"kv_cache_{later.name}_metadata.json")
    if defect == "no summary":
        (later / "summary.json").unlink()
    elif defect != "none":
        value = True if defect == "partial_failure" else {"1": [{"trial": 0, "exit_code": 1}]}
        change(later / "summary.json", lambda document: document.update({defect: value}))
    (row,) = table(made).rows
    reported, dropped = (later.name, KV_TIME) if defect == "none" else (KV_TIME, later.name)
    assert [leaf.timestamp for leaf in row.leaves] == [reported]
    (remark,) = table(made).remarks
    assert f"{reported}: reported instead of {dropped}" in remark


def test_runs_of_two_performance_profiles_have_a_row_each(made: Submission) -> None:
    later = made.kv_leaf.with_name("20260805_120000")
    shutil.copytree(made.kv_leaf, later)
    (metadata,) = later.glob("*_metadata.json")
    change(metadata, lambda document: document.update(performance_profile="throughput"))
    assert len(table(made).rows) == 2


def test_run_without_measurements_has_no_row(made: Submission) -> None:
    (made.kv_leaf / "summary.json").unlink()
    assert table(made).rows == ()
    assert any("no row" in remark for remark in table(made).remarks)


def test_training_is_the_mean_of_the_runs_after_the_first(made: Submission) -> None:
    runs = sorted((made.add_training() / "run").glob("2*"))
    for number, leaf in enumerate(runs):
        set_figures(leaf, train_io_mean_MB_per_second=1024.0 * number)
        change(leaf / "summary.json", lambda document: document.update(num_accelerators=4))
    cells = row_of(made, "training").cells
    assert cells["Model"] == "Unet3D"
    assert cells["Training - Read B/W (GiB/s)"] == 3.0
    assert cells["Training - Accelerator Type"] == "b200"
    assert (cells["Training - # Client Nodes"], cells["Training - # Simulated Accelerators"]) == (
        1,
        4,
    )
    change(runs[3] / "summary.json", lambda document: document["metric"].clear())
    assert row_of(made, "training").cells["Training - Read B/W (GiB/s)"] == ""


def test_training_without_a_run_after_the_first_has_no_row(made: Submission) -> None:
    _, *others = sorted((made.add_training() / "run").glob("2*"))
    for leaf in others:
        shutil.rmtree(leaf)
    assert [row.cells["Benchmark Type"] for row in table(made).rows] == ["kv_cache"]
    count, no_row = table(made).remarks
    assert "0 runs after the first; the rules demand 5" in count
    assert "no row" in no_row


def test_checkpointing_is_the_mean_of_the_runs_of_each_phase(made: Submission) -> None:
    written, read = sorted(made.add_checkpointing().glob("2*"))
    for leaf, way, speed in ((written, "save", 13.0), (read, "load", 34.0)):
        set_figures(
            leaf,
            **{
                f"{way}_checkpoint_io_mean_GB_per_second": speed,
                f"{way}_checkpoint_duration_mean_seconds": 8.0,
            },
        )
    cells = row_of(made, "checkpointing").cells
    names = [name for name in COLUMNS if name.startswith("Checkpointing - ")]
    values = [cells[name] for name in names if not name.endswith(("Code", "Logs"))]
    assert cells["Model"] == "8B"
    assert values == ["Full", 1, 1, 13.0, 8.0, 34.0, 8.0]
    next(read.glob("*_metadata.json")).unlink()
    assert row_of(made, "checkpointing").cells == cells, "a run that says nothing of its phase"
    change(written / "summary.json", lambda document: document["metric"].clear())
    assert row_of(made, "checkpointing").cells["Checkpointing - Write B/W (GiB/s)"] == ""


@pytest.mark.parametrize(("ranks", "instances"), [(2, ""), (8, 1), (16, 2)])
def test_instances_of_a_checkpoint_are_those_of_its_ranks(
    made: Submission, ranks: int, instances: object
) -> None:
    for leaf in made.add_checkpointing().glob("2*"):
        (metadata,) = leaf.glob("*_metadata.json")
        change(metadata, lambda document: document.update(num_processes=ranks))
        set_figures(leaf, save_checkpoint_io_mean_GB_per_second=1.0)
    cells = row_of(made, "checkpointing").cells
    assert cells["Checkpointing - DP Instances"] == instances


def test_vector_database_is_the_latest_run(made: Submission) -> None:
    made.add_vectors()
    cells = row_of(made, "vector_database").cells
    assert (cells["Model"], cells["VDB - Index Type"]) == ("", "DISKANN")
    assert cells["VDB - Vector Count"] == 1_000_000
    assert cells["VDB - Recall Percentage"] == 95.0
    assert cells["VDB - Storage IOPs"] == ""


def test_files_have_every_column_and_keep_the_rules(made: Submission) -> None:
    made.add_vectors()
    tree = read_tree(made.top)
    write_tables(table_of(tree), tree)
    results = made.organization / "results"
    with (results / "results.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    content = json.loads((results / "results.json").read_text())
    assert tuple(header) == COLUMNS
    assert [tuple(row) for row in content] == [COLUMNS] * 2
    names = [row[header.index("Name")] for row in rows]
    assert names == ['<a href="closed/some-vendor/systems/array-1.yaml">array-1</a>'] * 2
    assert content[0]["Name"] == {
        "text": "array-1",
        "href": "closed/some-vendor/systems/array-1.yaml",
    }
    (own,) = json.loads((made.system / "kv_cache" / "llama3.1-8b" / "results.json").read_text())
    assert own in content
    findings = validate(read_tree(made.top))
    assert [one for one in findings if one.rule == "RPT-01" and one.verdict is not Verdict.OK] == []
    assert not [one for one in findings if one.verdict is Verdict.VIOLATED]


def test_text_from_outside_does_nothing_in_a_spreadsheet_or_terminal() -> None:
    text = csv_text(("a", "b"), [("=1+1", "x\x1b[2J\ny"), (-1.5, Link("<b>", "a&b"))])
    assert text.splitlines() == [
        "a,b",
        "'=1+1,x\\x1b[2J\\ny",
        '-1.5,"<a href=""a&amp;b"">&lt;b&gt;</a>"',
    ]
