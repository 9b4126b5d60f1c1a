"""Run a failure scenario and check its contract, on one host or on several."""

from __future__ import annotations

import re
import signal
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.stderr import ABORT_STATUS
from tests.failures.scenario import (
    BEFORE,
    FAILURE_ALONE_IS_LIMITED,
    LIMIT_S,
    PREAMBLE,
    SLACK_S,
    TIMEOUT_S,
    Outside,
    Scenario,
    Unspecified,
)
from tests.failures.scenarios import DIED, SCENARIOS

TEST_MPIS = ("open mpi 5", "mpich")
TINY = (
    *("--mlps-trials=1", "--mlps-set=entry_scale=0.001"),
    *("--mlps-set=calibration=0", "--mlps-set=think_time_scale=0.05", "--mlps-set=warmup=0"),
)


def scenario_matrix(
    mark: pytest.MarkDecorator,
    is_always: Callable[[Scenario, str, int], bool],
    scenarios: Sequence[Scenario] = SCENARIOS,
    mpis: Sequence[str] = TEST_MPIS,
) -> Iterator[object]:
    """Return a parameter for each scenario, MPI and rank; marked, unless it is always run."""
    for scenario in scenarios:
        for name in filter(scenario.applies_to, mpis):
            for rank in (0, 1) if scenario.has_rank else (0,):
                always = is_always(scenario, name, rank)
                for one in _started(scenario, rank, is_always=always):
                    is_marked = not always or (one.under != "pytest" and scenario.under == "either")
                    ident = f"{one.name}-{name}" + (f"-rank {rank}" if one.has_rank else "")
                    if scenario.under == "either":
                        ident += "" if one.under == "pytest" else "-by hand"
                    marks = [mark] if is_marked else []
                    yield pytest.param(one, name, rank, marks=marks, id=ident.replace(" ", "_"))


def _started(scenario: Scenario, rank: int, *, is_always: bool) -> list[Scenario]:
    """Return the scenario for each way of starting its ranks.

    Where there are two: by hand with rank 0 as the acting one, by pytest with rank 1, or always.
    """
    if scenario.under != "either":
        return [scenario]
    launched = replace(scenario, under="pytest", by_hand=None)
    by_hand = replace(
        scenario,
        under="a launcher of the user's",
        status=scenario.by_hand or scenario.status,
    )
    return [*([by_hand] if rank == 0 else []), *([launched] if rank == 1 or is_always else [])]


def write_files(folder: Path, scenario: Scenario, rank: int, needed: Path | None) -> None:
    """Write the test files that the ranks run."""
    preamble = PREAMBLE.format(rank=rank)
    before = BEFORE if scenario.run_status else ""
    (folder / "pytest.ini").write_text("[pytest]\n")
    conftest = FAILURE_ALONE_IS_LIMITED if scenario.bound == "timeout + grace" else ""
    files = {
        "test_it.py": before + textwrap.dedent(scenario.test),
        "conftest.py": conftest + textwrap.dedent(scenario.conftest),
        "early.py": scenario.early,
    }
    for name, text in files.items():
        if text:
            (folder / name).write_text(preamble + text.replace("NEEDED", str(needed)))


def options_of(scenario: Scenario) -> list[str]:
    """Return the options of pytest for a scenario, with any starter of the ranks."""
    more = ["-p", "early"] if scenario.early else []
    if scenario.bound == "timeout + grace":
        more.append(f"--mlps-timeout={TIMEOUT_S}")
    elif scenario.bound == "at once":  # a run that hangs shows where
        more.append(f"--mlps-timeout={LIMIT_S * 2 // 3}")
    return [
        *("-p", "no:cacheprovider", "-rs", "--color=no", *more),
        *(f"--mlps-grace={scenario.grace_s}", "-o", f"mlps_startup_limit={scenario.startup_s}"),
        *(*TINY, *scenario.options),
    ]


def launcher_of(parent: psutil.Process) -> psutil.Process:
    """Return the launcher that a pytest process started; its other child is a reaper."""
    helper = helper_of(parent)
    (launcher,) = (child for child in parent.children() if child != helper)
    return launcher


def helper_of(parent: psutil.Process) -> psutil.Process:
    """Return the helper process of a pytest process that started ranks."""
    (helper,) = (child for child in parent.children() if reaper.__file__ in child.cmdline())
    return helper


def send_from_outside(outside: Outside, parent: psutil.Process) -> float:
    """Send a scenario's signal, where pytest started the ranks; return when."""
    name, _, target = outside.partition(" to ")
    targets = {
        "pytest": [parent],
        "pytest and its helper process": [helper_of(parent), parent],
        "the launcher": [launcher_of(parent)],
    }[target]
    acted_s = time.monotonic()
    for process in targets:
        process.send_signal(signal.Signals[name])
    return acted_s


def check_end(
    scenario: Scenario, rank: int, host_of: Callable[[int], str], status: int, output: str
) -> None:
    """Check the exit status, and that the output names the place of the failure."""
    if isinstance(scenario.status, Unspecified):
        assert status not in scenario.status.never, output
    else:
        assert (status if status >= 0 else 128 - status) == scenario.status, output  # as in a shell
    hosts = sorted({host_of(0), host_of(1)})
    any_host = f"({'|'.join(map(re.escape, hosts))})"
    for pattern in scenario.shown:
        if pattern == DIED and len(hosts) > 1:
            pattern = "rank RANK on HOST( died|, which may have been the first)"  # noqa: PLW2901
        pattern = pattern.replace("RANK", str(rank))  # noqa: PLW2901
        for one in (0, 1):
            pattern = pattern.replace(f"ank {one} on HOST", f"ank {one} on {host_of(one)}")  # noqa: PLW2901
        pattern = pattern.replace("HOST", any_host)  # noqa: PLW2901
        assert re.search(pattern, output), f"{pattern}\n{output}"


def check_time(scenario: Scenario, folder: Path, acted_s: float | None, output: str) -> None:
    """Check that a run that has just ended did so within its bound from the failure."""
    ended_s = time.monotonic()
    if acted_s is None:
        record = folder / "acted"
        assert record.exists(), f"ended before the failure began\n{output}"
        acted_s = float(record.read_text())
    since_s = ended_s - acted_s
    assert since_s <= scenario.ends_within_s + SLACK_S, output


def check_results(metadata: Mapping[str, Any], scenario: Scenario, output: str) -> None:
    """Check the run's status, and that the results of the earlier test are kept."""
    status = metadata["mlpstorage"]["status"]
    if isinstance(scenario.run_status, Unspecified):
        assert status in ("failed", "interrupted", "died"), output
    else:
        assert status == scenario.run_status, output
    record = metadata["mlpstorage"]
    measured = [case["test"] for case in record["cases"].values() if case["trials"]]
    assert measured == ["test_it.py::test_before"]
    is_cut_short = any("did not complete" in note for note in record["notes"])
    if scenario.ends_by_itself:
        assert not is_cut_short, output
    elif (status == "died" and scenario.has_parent) or scenario.status == ABORT_STATUS:
        assert is_cut_short == (status == "failed" or scenario.has_parent), output
