"""Runs as a user names them, and the conditions that their files tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.compare.find import find_subject
from mlpstorage_bench.compare.subject import Comparison, Program, Subject
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.archive import History
from tests.past_runs import leave_run
from tests.validation.published import PUBLISHED, is_absent
from tests.validation.trees import KV_TIME, SYSTEM, Submission, kv_command, write

pytestmark = pytest.mark.slow  # each test writes a whole tree of results

TABLE = """\
organisation,system,division,model_dir,run_datetime,ranks,hosts,trials,opt1_read_GiBps,\
opt1_p95_ms,opt1_avg_tokens_per_s,opt1_storage_tokens_per_s,opt1_missing_files,note
one,array,closed,llama3.1-8b,20260801_100000,4,2,3,12.5,100.5,50,5,0,\x1b[31mred
one,twice,closed,llama3.1-8b,20260801_110000,4,2,3,1,2,3,4,5,
one,twice,open,llama3.1-8b,20260801_120000,4,2,1,2,3,4,5,0,
"""
REPORT = """\
Public ID,Organization,Division,Name,KVCache - # Client Nodes,\
KVCache llama3.1-8b Storage Only - Read B/W (GiB/s),\
KVCache llama3.1-8b Storage + Mem - Throughput (tok/s),\
KVCache llama3.1-70b Storage Only - Write B/W (GiB/s),\
KVCache llama3.1-70b Storage Only - P95 Read Latency (ms)
v3.0-0001,one,closed,"<a href=""systems/array.pdf"">array</a>",2,12.5,800,3.5,17
"""


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    made = Submission(tmp_path / "tree")
    made.write()
    return made


@pytest.fixture
def history(submission: Submission) -> Iterator[History]:
    leave_run(submission.top, 1)
    with History(submission.top) as opened:
        yield opened


def find(given: object, history: History) -> Subject:
    return find_subject(str(given), history)


def figures(subject: Subject, case: str) -> dict[str, float]:
    return {one.label: one.value for one in subject.cases[case]}


def test_run_is_found_by_id_directory_and_file(submission: Submission, history: History) -> None:
    leaf = submission.kv_leaf
    metadata = leaf / f"kv_cache_{KV_TIME}_metadata.json"
    found = [find(given, history) for given in (KV_TIME, leaf, metadata, leaf / "summary.json")]
    assert {one.identity for one in found} == {
        f"{KV_TIME}: closed {SYSTEM} kv_cache llama3.1-8b run, passed"
    }
    assert {one.program for one in found} == {Program.REFERENCE}
    read = submission.kv_summary["options"]["1"]["aggregated_read_bandwidth_gbps"]
    assert {figures(one, "1")["read GiB/s"] for one in found} == {read}


def test_directory_with_a_summary_alone_is_a_run(submission: Submission, history: History) -> None:
    (submission.kv_leaf / f"kv_cache_{KV_TIME}_metadata.json").unlink()
    found = find(submission.kv_leaf, history)
    assert found.conditions["preloads"] == "not recorded"
    assert "it has no metadata" in found.notes[0]


def test_own_run_has_its_figures_and_conditions(submission: Submission, history: History) -> None:
    (ours,) = (run for run in history.runs() if not run.is_of_reference)
    found = find(ours.run_id, history)
    assert found.program is Program.OURS
    assert figures(found, "1")["read GiB/s"] == 1.5
    assert found.conditions["bytes that count"] == "what ended inside the window"
    compared = Comparison([found, find(submission.kv_leaf, history)])
    unlike = {one.condition for one in compared.unlike}
    assert unlike >= {"program", "bytes that count", "p95", "direct I/O", "flush", "window"}
    assert all(row.is_unlike for row in compared.rows if None not in row.values)


def test_conditions_are_those_of_commands_and_rank_files(
    submission: Submission, history: History
) -> None:
    command = kv_command(1, 0).replace("mpirun ", "mpirun -x LD_PRELOAD=/lib/libeatmydata.so ")
    submission.kv_metadata["command_output_files"][0]["command"] = command
    submission.write_kv_metadata()
    for (option, trial, rank), content in submission.kv_ranks.items():
        content["summary"]["cache_stats"]["storage_write_device_p50_ms"] = 0.01
        content["end_to_end_latencies"] = [350.0]
        place = submission.kv_leaf / f"option_{option}" / f"trial_{trial}" / f"rank_{rank}"
        write(place / f"kvcache_results_{KV_TIME}.json", content)
    conditions = find(submission.kv_leaf, history).conditions
    assert conditions["preloads"] == "libeatmydata.so"
    assert conditions["trials"] == "3"
    assert conditions["window"] == "300.0 s, a request took 350.0 s"
    assert conditions["flush"].endswith("too little to move anything to a device")
    assert conditions["workload"].startswith("case 1: llama3.1-8b, 200 users, 300 s")
    assert (conditions["audit"], conditions["reads checked"]) == ("none", "none")


def test_row_of_a_table_is_a_run(tmp_path: Path, history: History) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    found = find(f"{table}#array", history)
    assert figures(found, "1") == {
        "read GiB/s": 12.5,
        "tokens/s": 50.0,
        "storage tokens/s": 5.0,
        "request I/O p95 ms": 100.5,
    }
    assert found.conditions["ranks and hosts"] == "4 on 2"
    assert found.conditions["window"] == "not recorded"
    assert find(f"{table}#twice@20260801_110000", history).notes == (
        "case 1: files of 5 results of ranks are missing; sums are of the others",
    )


def test_table_of_the_reference_has_links_and_other_columns(
    tmp_path: Path, history: History
) -> None:
    table = tmp_path / "results.csv"
    table.write_text(REPORT)
    found = find(f"{table}#array", history)
    assert {case: figures(found, case) for case in found.cases} == {
        "1": {"read GiB/s": 12.5},
        "2": {"tokens/s": 800.0},
        "3": {"write GiB/s": 3.5},
    }
    assert found.conditions["ranks and hosts"] == "- on 2"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("2020", "accepted: the id of a run, its directory, its metadata file"),
        ("no/such/run", "There is no file or directory no/such/run"),
        (".", "has neither metadata (*_metadata.json) nor a summary"),
        ("table.csv#twice", "2 rows are of this system. Rows: #twice@20260801_110000, #twice@"),
        ("table.csv#arr", "No row is of this system. Rows: #array@20260801_100000"),
        ("none.csv#array", "No such file or directory"),
        ("noise.csv#array", "It has no column system or Name"),
        ("noise.csv", "It is no JSON"),
    ],
)
def test_run_that_is_not_found_is_refused_with_what_is_accepted(
    given: str,
    message: str,
    tmp_path: Path,
    history: History,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(TABLE)
    Path("noise.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInputError) as raised:
        find(given, history)
    assert message in str(raised.value)
    assert str(raised.value).startswith("--mlps-compare: got ")


def test_run_of_another_type_has_figures_of_the_whole_run(submission: Submission) -> None:
    submission.add_vectors()
    leaf = next(path.parent for path in submission.top.rglob("vector_database_*_metadata.json"))
    for path in submission.top.rglob("vector_database_*_metadata.json"):
        also = {"run_datetime": path.parent.name, "num_processes": 4, "parameters": {}}
        path.write_text(json.dumps(also | json.loads(path.read_text())))
    leaves = sorted(leaf.parent.iterdir())
    with History(submission.top) as history:
        compared = Comparison([find(leaves[0], history), find(submission.kv_leaf, history)])
    assert "benchmark type" in {one.condition for one in compared.unlike}
    assert "throughput qps, 1/s" in {row.label for row in compared.rows if row.case == "run"}


@pytest.mark.skipif(is_absent(), reason="the published runs are not on this machine")
def test_published_run_and_its_row_have_the_same_figures(history: History) -> None:
    leaf = next(PUBLISHED.rglob("kv_cache_20260724_130034_metadata.json")).parent
    system = leaf.parents[3].name
    run = find(leaf, history)
    row = find(f"{PUBLISHED}/published-kv-cache.csv#{system}", history)
    for case in ("1", "2", "3"):
        of_run = figures(run, case)
        assert figures(row, case).items() <= of_run.items()
    assert "libnofadvise.so" in run.conditions["preloads"]
    assert run.conditions["flush"].endswith("too little to move anything to a device")
    assert run.conditions["ranks and hosts"] == "30 on 15"


@pytest.mark.parametrize(
    ("folder", "io_mode", "said"),
    [
        ("option_1", "direct", "yes"),
        ("case_1", "direct", "yes"),
        ("case_1", "uncached", "no: through the page cache, staying out of it afterwards"),
    ],
)
def test_parameters_are_those_with_which_a_case_ran(
    folder: str, io_mode: str, said: str, history: History
) -> None:
    (ours,) = (run for run in history.runs() if not run.is_of_reference)
    assert "4 users" in find(ours.run_id, history).conditions["workload"], "those of the plan"
    ran = {"num_users": 50, "verify_rate": 1.0, "durability": "fsync"}
    write(
        ours.path.parent / folder / "trial_0" / "rank_0" / "kvcache_results_1.json",
        {"mlpstorage": {"io_mode": io_mode, "parameters": ran}},
    )
    conditions = find(ours.run_id, history).conditions
    assert "50 users" in conditions["workload"]
    assert conditions["direct I/O"] == said
    assert conditions["flush"] == "fsync of each entry"
    assert conditions["reads checked"] == "100% of chunks"


@pytest.mark.parametrize(
    ("fsync", "said"), [(True, "fsync of each file"), (False, "none"), (None, "not recorded")]
)
def test_flush_of_checkpoints_is_their_fsync(
    *, fsync: bool | None, said: str, history: History
) -> None:
    (ours,) = (run for run in history.runs() if not run.is_of_reference)
    write(
        ours.path.parent / "case_1" / "trial_0" / "rank_0" / "checkpoint_results_1.json",
        {"mlpstorage": {"parameters": {"model": "llama3-8b", "fsync": fsync}}},
    )
    assert find(ours.run_id, history).conditions["flush"] == said
