"""How a scenario is run, and what is to be seen of it: on one host and on several."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlpstorage_bench.process import reaper
from tests.failures.scenarios import (
    BEFORE,
    DIED,
    LIMIT_S,
    LOST,
    PREAMBLE,
    SCENARIOS,
    SLACK_S,
    TIMEOUT_S,
    Scenario,
)

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
        for name in [one for one in mpis if scenario.only in ("", one)]:
            for rank in (0, 1) if scenario.has_rank else (0,):
                marks = [] if is_always(scenario, name, rank) else [mark]
                ident = f"{scenario.name}-{name}" + (f"-rank {rank}" if scenario.has_rank else "")
                yield pytest.param(scenario, name, rank, marks=marks, id=ident.replace(" ", "_"))


def write_files(folder: Path, scenario: Scenario, rank: int, needed: Path | None) -> None:
    """Write the tests that the ranks run."""
    preamble = PREAMBLE.format(rank=rank)
    before = BEFORE if scenario.run_status else ""
    (folder / "pytest.ini").write_text("[pytest]\n")
    files = {
        "test_it.py": before + textwrap.dedent(scenario.test),
        "conftest.py": textwrap.dedent(scenario.conftest),
        "early.py": scenario.early,
    }
    for name, text in files.items():
        if text:
            (folder / name).write_text(preamble + text.replace("NEEDED", str(needed)))


def options_of(scenario: Scenario) -> list[str]:
    """Return the options of pytest with which it is run, whatever starts the ranks."""
    more = ["-p", "early"] if scenario.early else []
    if scenario.bound == "timeout + grace":
        more.append(f"--mlps-timeout={TIMEOUT_S}")
    elif scenario.bound == "at once":  # for a run that hangs to show where, though it has failed
        more.append(f"--mlps-timeout={LIMIT_S * 2 // 3}")
    return [
        *("-p", "no:cacheprovider", "-rs", *more),
        *(f"--mlps-grace={scenario.grace_s}", "-o", f"mlps_startup_limit={scenario.startup_s}"),
        *(*TINY, *scenario.options),
    ]


def launcher_of(parent: psutil.Process) -> psutil.Process:
    """Return the launcher that a pytest has started, beside which it has a reaper."""
    (launcher,) = (child for child in parent.children() if reaper.__file__ not in child.cmdline())
    return launcher


def check_end(
    scenario: Scenario, rank: int, host_of: Callable[[int], str], status: int, output: str
) -> None:
    """The exit status is right, and what is printed says where it was."""
    if scenario.status:
        assert (status if status >= 0 else 128 - status) in scenario.status, output  # as in a shell
    else:
        assert status not in (0, 5), output
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
    """It has just ended, and within its bound from when something went wrong (monotonic clock)."""
    ended_s = time.monotonic()
    since_s = ended_s - (acted_s or float((folder / "acted").read_text()))
    assert since_s <= scenario.ends_within_s + SLACK_S, output


def check_results(metadata: Mapping[str, Any], scenario: Scenario, output: str) -> None:
    """What had been measured before is in the results, with how it all ended."""
    assert metadata["status"] in scenario.run_status, output
    told = metadata["mlpstorage"]
    measured = [case["test"] for case in told["cases"].values() if case["trials"]]
    assert measured == ["test_it.py::test_before"]
    is_cut_short = any("did not come to its end" in note for note in told["notes"])
    is_told = scenario.has_parent or metadata["status"] == "failed"
    if scenario.ends_by_itself:
        assert not is_cut_short, output
    elif metadata["status"] in LOST and is_told:
        assert is_cut_short, output
