"""The study of one operation's cost still runs over the runner as it is now."""

from __future__ import annotations

from typing import Literal

import pytest

from benchmarks.harness import test_operation_cost as study


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read", "write"])
def test_study_measures_an_operation(
    monkeypatch: pytest.MonkeyPatch, kind: Literal["read", "write"]
) -> None:
    monkeypatch.setattr(study, "WINDOW_S", 0.05)
    sample = study.operation(kind, study.BLOCKS["64KiB"], lanes=1)
    assert sample.wall_us > 0
    assert sample.cpu_us > 0
