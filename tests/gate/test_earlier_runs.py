"""The runs of a baseline, by their starts and the start of the run that is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.gate.baseline import find_baselines
from mlpstorage_bench.gate.baseline_choice import parse_choice
from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.archive import History
from tests.past_runs import leave_run, run


def id_of(number: int) -> str:
    run_id: str = run(number)["mlpstorage"]["run_id"]
    return run_id


@pytest.mark.parametrize(
    ("is_past", "numbers", "remark"),
    [(True, (1, 2), False), (False, (1, 2, 4, 5), True)],
    ids=["a run that is named", "a session's own run"],
)
def test_baseline_of_a_named_run_is_what_began_before_it(
    tmp_path: Path, *, is_past: bool, numbers: tuple[int, ...], remark: bool
) -> None:
    paths = [leave_run(tmp_path, number) for number in range(1, 6)]
    candidate = read_series("run", paths[2])
    with History(tmp_path) as history:
        found = find_baselines(candidate, parse_choice("last"), history, is_past=is_past)["1"]
        remarks = history.remarks
    assert sorted(one.run_id for one in found.runs) == [id_of(number) for number in numbers]
    assert any("began after this run by their clocks" in one for one in remarks) == remark
