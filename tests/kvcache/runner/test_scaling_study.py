"""The study of scaling still runs over the runner and the engine as they are now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.harness import scaled_ranks as study


@pytest.mark.slow
@pytest.mark.starts_process
@pytest.mark.parametrize("store", ["null", "disk"])
def test_study_measures_bandwidth_cost_and_ceiling(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    store: str,
) -> None:
    monkeypatch.setattr(study, "WINDOW_S", 0.05)
    monkeypatch.setattr(study, "RAMP_S", 0.02)
    monkeypatch.setattr(study, "ENTRY_SCALE", 0.001)
    load = study.ScaledLoad(lanes=2, chunks_in_flight=2, chunk_kib=64, samples=1)
    arguments = [store, str(tmp_path), json.dumps(load._asdict())]
    monkeypatch.setattr(sys, "argv", ["scaled_ranks", *arguments])
    study.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures.keys() == {
        "gib_s",
        "cpu_s_per_gib",
        "ceiling_gib_s",
        "ceiling_operations_per_s",
    }
    assert all(value > 0 for value in figures.values())
