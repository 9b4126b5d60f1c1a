"""Workloads of runs of the reference: every option and parameter that differs is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.compare.find import find_subject
from mlpstorage_bench.compare.reference_workload import facts_of_command, facts_of_run, in_short
from mlpstorage_bench.compare.subject import Comparison, Program, Subject
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import Invocation
from tests.validation.trees import Submission, write

TRAINING: dict[str, Any] = {
    "benchmark_type": "training",
    "run_datetime": "20260801_100000",
    "num_processes": 4,
    "model": "unet3d",
    "parameters": {
        "dataset": {"data_folder": "/a", "format": "npz", "num_files_train": "6500000"},
        "reader": {"read_threads": "100", "odirect": "True", "batch_size": 7},
    },
    "args": {"accelerator_type": "b200", "results_dir": "/a"},
}


def document(value: object) -> Document:
    return Document(value, Path("metadata.json"))


def changed(**parameters: object) -> dict[str, Any]:
    """Return the metadata of a training with other values of the reader."""
    reader = {"read_threads": 100, "odirect": True, "batch_size": "7.0", **parameters}
    dataset = {"data_folder": "/b", "format": "npz", "num_files_train": 6_500_000}
    return {**TRAINING, "parameters": {"dataset": dataset, "reader": reader}}


def unlike(*subjects: Subject) -> list[str]:
    return [str(one).removeprefix("unlike: ") for one in Comparison(subjects).unlike]


def test_options_of_ranks_are_facts_but_directories_and_those_of_the_launcher() -> None:
    words = ["mpirun", "-n", "4", "--npernode", "2", "python3", "/opt/kv.py", "--config=/a.yaml"]
    options = ["--rank-output-base", "/a/option_1/trial_0", "--duration", "300", "--gpu-mem-gb=0.0"]
    one = Invocation((*words, *options, "--enable-rag", "--model", "llama3.1-8b", "--quiet"), 1, 0)
    assert facts_of_command(one).facts == {
        "parameter --duration": "300",
        "parameter --gpu-mem-gb": "0",
        "parameter --enable-rag": "true",
        "parameter --model": "llama3.1-8b",
        "parameter --quiet": "true",
    }


def test_equal_parameters_in_other_forms_and_directories_are_equal_facts() -> None:
    assert facts_of_run(document(TRAINING)) == facts_of_run(document(changed()))
    short = "b200, 6500000 files, batches of 7, 100 readers"
    assert {in_short(document(one)) for one in (TRAINING, changed())} == {short}


def test_secrets_of_others_are_in_no_fact() -> None:
    options = ("kv.py", "--secret-key", "hunter2", "--endpoint=https://me:hunter2@host/b")
    assert "hunter2" not in str(facts_of_command(Invocation(options, 0, 0)))
    storage = {"access_key": "hunter2", "endpoint": "https://me:hunter2@host/b"}
    facts = facts_of_run(document({"parameters": {"storage": storage}}))
    assert "hunter2" not in str(facts)
    assert "https://host/b" in str(facts)


@pytest.mark.parametrize("content", [None, {}, {"parameters": {}, "args": {"loops": 1}}, []])
def test_parameters_that_are_not_recorded_are_no_defaults(content: object) -> None:
    assert facts_of_run(document(content)) is None
    assert in_short(document(content)) == "not recorded"


@pytest.mark.slow
def test_trainings_of_the_reference_name_each_parameter_that_differs(tmp_path: Path) -> None:
    for name, content in (
        ("one", TRAINING),
        ("other", changed(read_threads=4, prefetch_size=2)),
        ("alike", changed()),
        ("unknown", None),
    ):
        leaf = tmp_path / f"closed/vendor/results/{name}/training/unet3d/run/20260801_100000"
        leaf.mkdir(parents=True)
        write(leaf / "summary.json", {"num_accelerators": 4, "metric": {"train_au": 91.0}})
        if content is not None:
            write(leaf / "training_20260801_100000_metadata.json", content)
    with History(tmp_path) as history:
        one, other, alike, unknown = (
            find_subject(str(next(tmp_path.rglob(f"results/{name}/**/20260801_100000"))), history)
            for name in ("one", "other", "alike", "unknown")
        )
    assert unlike(one, other) == [
        "parameter reader.read_threads: 100 (A); 4 (B)",
        "parameter reader.prefetch_size: not recorded (A); 2 (B)",
    ]
    assert unlike(one, alike) == []
    assert Comparison([one, alike]).alike["workload"].endswith("7, 100 readers")
    assert "workload: b200, 6500000 files, batches of 7, 100 readers (A); not recorded (B)" in (
        unlike(one, unknown)
    )


@pytest.mark.slow
def test_options_of_the_reference_are_not_compared_with_parameters_of_ours(tmp_path: Path) -> None:
    made = Submission(tmp_path / "tree")
    made.write()
    with History(made.top) as history:
        theirs = find_subject(str(made.kv_leaf), history)
    facts = facts_of_command(Invocation(("kv.py", "--num-users", "7"), 1, 0))
    conditions = {**theirs.conditions, "workload": "of ours"}
    ours = Subject(
        "ours", Program.OURS, "", conditions, theirs.cases, workloads={"1": facts, "2": facts}
    )
    found = unlike(theirs, theirs, ours)
    assert not [one for one in found if one.startswith("parameter ")]
    assert [one for one in found if one.startswith("workload: ") and "of ours (C)" in one]
