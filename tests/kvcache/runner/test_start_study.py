"""The study of a case's start still finds its moments in the session as it is now."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.stamped import session


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.starts_process
def test_study_finds_calibration_before_first_byte(tmp_path: Path) -> None:
    changes = {"calibration": 0.02, "duration": 0.5, "warmup": 0, "num_users": 4}
    start = session(tmp_path, tmp_path / "cache", 1, changes)
    assert start.session_s > 0
    assert 0 < start.opened_s < start.calibrated_s < start.first_byte_s
