"""The run that the current test belongs to, where a session has several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.start import fixtures_of


def current_run(session: MlpsSession, runs: Sequence[Run]) -> Run:
    """Return the only run, or an object with the attributes of the current test's run."""
    return runs[0] if len(runs) == 1 else cast("Run", _CurrentRun(session))


class _CurrentRun:
    """Attributes of the run of the current test, which may be another one in the next test."""

    def __init__(self, session: MlpsSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> object:
        return getattr(self._run, name)

    @property
    def _run(self) -> Run:
        item = self._session.current_test
        runs = self._session.runs
        if item is not None:
            of_type = [part.run for part in self._session.parts_of_test(fixtures_of(item))]
            with_case = [
                run for run in of_type if any(one.test == item.nodeid for one in run.log.cases)
            ]
            runs = with_case or of_type
        if len(runs) == 1:
            return runs[0]
        names = ", ".join(f"{run.facts.benchmark_type} of {run.facts.model}" for run in runs)
        pytest.fail(
            f"mlps_run: this test belongs to several runs: {names}. Use mlps_runs, a list of them",
            pytrace=False,
        )
