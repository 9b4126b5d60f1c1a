"""Facts of workloads in a comparison: every one that differs, of any benchmark type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.compare.find import find_subject
from mlpstorage_bench.compare.subject import Comparison, Figure, Program, Subject
from mlpstorage_bench.compare.workload_facts import workload_facts
from mlpstorage_bench.history.archive import History
from tests.past_runs import leave_run

FIGURE = Figure("read_gib_s", "read GiB/s", 0, 2, "window", 1.0)
DCP = {"scale": 0.003, "writer": "dcp", "files_per_rank": 3}
BY_RANK = {"scale": 0.003, "asynchronous": True}


def subject(*cases: str, benchmark_type: str = "checkpointing", **parts: object) -> Subject:
    conditions = {"benchmark type": benchmark_type, "workload": "llama3-8b, scale 0.003"}
    defaults = {"writer": "rank", "files_per_rank": 1, "time_between_checkpoints": 0.0}
    parameters = parts.get("parameters")
    ran = {**defaults, **(parameters if isinstance(parameters, dict) else {})}
    facts = workload_facts(parts, ran)
    names = cases or ("write",)
    return Subject(
        "given",
        Program.OURS,
        "identity",
        conditions,
        {name: [FIGURE] for name in names},
        workloads=dict.fromkeys(names, facts) if parts else {},
    )


def unlike(*subjects: Subject) -> list[str]:
    return [str(one).removeprefix("unlike: ") for one in Comparison(subjects).unlike]


def test_each_parameter_that_differs_is_named_with_its_default() -> None:
    compared = Comparison([subject(parameters=DCP), subject(parameters=BY_RANK)])
    assert [str(one) for one in compared.unlike] == [
        "unlike: parameter writer: dcp (A); rank (B)",
        "unlike: parameter files_per_rank: 3 (A); 1 (B)",
        "unlike: parameter asynchronous: default (A); true (B)",
    ]
    assert "workload" not in compared.alike


def test_equal_workloads_have_the_short_line_alone() -> None:
    compared = Comparison([subject(parameters=DCP, seed=1), subject(parameters=DCP, seed=1)])
    assert compared.unlike == []
    assert compared.alike["workload"] == "llama3-8b, scale 0.003"


@pytest.mark.parametrize(
    ("mine", "its", "found"),
    [
        ({"seed": 1}, {"seed": 2}, "workload seed: 1 (A); 2 (B)"),
        ({"seed": 1}, {"seed": 1, "pauses": {"s": 2}}, "workload pauses.s: default (A); 2 (B)"),
        (
            {"parameters": {"think": {"mean_s": 1.5}}},
            {"parameters": {"think": {"mean_s": 2.5}}},
            "parameter think.mean_s: 1.5 (A); 2.5 (B)",
        ),
        (
            {"request_stream_sha256": "1f"},
            {"request_stream_sha256": "2f"},
            "workload requests: 1f (A); 2f (B)",
        ),
    ],
    ids=["seed", "pauses", "nested", "requests"],
)
def test_facts_beside_parameters_are_named(
    mine: dict[str, Any], its: dict[str, Any], found: str
) -> None:
    assert unlike(subject(**mine), subject(**its)) == [found]


def test_requests_that_follow_from_other_facts_are_not_named() -> None:
    runs = (subject(seed=one, request_stream_sha256=f"{one}f") for one in (1, 2))
    assert unlike(*runs) == ["workload seed: 1 (A); 2 (B)"]


def test_runs_of_other_types_and_without_facts_are_left_out() -> None:
    training = subject(benchmark_type="training", parameters={"epochs": 2})
    found = unlike(subject(parameters=DCP), training, subject(parameters=BY_RANK), subject())
    assert "parameter writer: dcp (A); rank (C)" in found
    assert not [one for one in found if "epochs" in one]


def test_runs_of_another_type_hide_no_facts() -> None:
    training = subject("unet3d", benchmark_type="training", parameters={"epochs": 2})
    found = unlike(subject(parameters=DCP), training, subject(parameters=BY_RANK))
    assert "parameter writer: dcp (A); rank (C)" in found
    assert "benchmark type: checkpointing (A, C); training (B)" in found


def test_runs_with_other_cases_hide_no_facts() -> None:
    one, two = subject("unet3d", seed=1), subject("unet3d", "flux", seed=2)
    third = subject("flux", seed=2)
    assert "workload seed: 1 (A); 2 (B)" in unlike(one, two)
    found = unlike(one, two, subject("retinanet", seed=3))
    assert "workload seed: 1 (A); 2 (B)" in found
    assert "workload seed: 1 (A); 2 (B, C)" in unlike(one, two, third)
    assert not [text for text in unlike(two, third) if "seed" in text]


def test_workloads_that_no_fact_has_keep_the_short_line() -> None:
    one, two = subject("unet3d", seed=1), subject("unet3d", seed=2)
    other = subject("retinanet", seed=3)
    conditions = {**other.conditions, "workload": "retinanet"}
    apart = Subject("c", Program.OURS, "", conditions, other.cases, workloads=other.workloads)
    assert "workload: llama3-8b, scale 0.003 (A, B); retinanet (C)" in unlike(one, two, apart)


def test_facts_are_those_of_the_cases_that_all_runs_have() -> None:
    both = subject("write", "read", seed=1)
    other = subject("write", seed=1)
    differs = {**both.workloads, "read": workload_facts({"seed": 7}, {})}
    one = Subject("given", Program.OURS, "", both.conditions, both.cases, workloads=differs)
    assert unlike(one, other) == ["cases: read, write (A); write (B)"]


def test_metadata_of_runs_has_the_facts(tmp_path: Path) -> None:
    for number, seconds in enumerate((0.162, 0.002), 1):
        parts = {"parameters": {"epochs": 2, "computation_time": seconds}, "seed": 42}
        path = leave_run(tmp_path, number)
        content = json.loads(path.read_text())
        content["mlpstorage"]["cases"]["1"]["workload_fingerprint_parts"] = parts
        path.write_text(json.dumps(content))
    with History(tmp_path) as history:
        runs = [find_subject(str(run.path), history) for run in history.runs()]
    assert "parameter computation_time: 0.162 (A); 0.002 (B)" in unlike(*runs)
