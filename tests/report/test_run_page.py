from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.history.reading import read_metadata, read_run
from mlpstorage_bench.report.run_page import run_lines
from tests.past_runs import leave_run

REGRESSED = {
    "case": "1",
    "metric": "read_p95_ms",
    "verdict": "regressed",
    "rule": "+20 %",
    "change": "5.8 x slower",
    "reason": "5.8 x slower than the baseline",
    "effect": -4.844,
}


def test_verdict_states_its_change_and_reason_and_no_raw_number(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1, own={"verdicts": [REGRESSED, {"case": "1", "verdict": "passed"}]})
    lines = run_lines(read_run(path).run, read_metadata(path), [], 120)
    (line,) = [line for line in lines if "regressed" in line]
    assert "1: read_p95_ms" in line
    assert "5.8 x slower than the baseline; rule +20 %" in line
    assert line.count("5.8") == 1
    assert "-4.8" not in "\n".join(lines)


def test_a_single_host_is_one_host(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1, hosts=["h1"], num_processes=1)
    lines = run_lines(read_run(path).run, read_metadata(path), [], 120)
    assert any("1 on 1 host: h1" in line for line in lines)
