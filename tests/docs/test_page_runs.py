"""Pages run as a reader would: the files that they show, then their commands, one after another.

Trials are shortened, and a directory stands for the reader's storage. Commands for other hosts and
resource managers, and those that take hours, are left to test_commands.py, which parses them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conftest import RunRanks
from tests.docs.page_commands import commands, files, on_storage
from tests.docs.pages import PROJECT
from tests.docs.test_examples import SHORTENED

SMALL = (*SHORTENED, "--mlps-set=entry_scale=0.002", "--mlps-set=stop_after_gb=0.05")


def run_page(
    pytester: pytest.Pytester,
    run_ranks: RunRanks,
    name: str,
    further: Sequence[str] = (),
    left_out: frozenset[str] = frozenset(),
) -> list[str]:
    """Run a page's commands and return them, joined; each has to end with status 0.

    Commands that measure also get the options `further`. Those with an option in `left_out` are not
    run: they need what a command that cannot run here leaves.
    """
    page = PROJECT / "docs" / name
    storage = pytester.mkdir("storage")
    for file, text in files(page).items():
        (pytester.path / file).write_text(text.replace("p95_ms=50)", "p95_ms=600_000)"))
    ran = []
    for command in commands(page):
        if not command.runs_here or left_out & {word.partition("=")[0] for word in command.words}:
            continue
        arguments = on_storage(command.arguments, storage)
        if command.measures:
            arguments += [*SMALL, *further]
        if command.launcher:
            ranks = int(command.launcher[command.launcher.index("-n") + 1])
            result = run_ranks(ranks, *arguments)
        else:
            result = pytester.runpytest_subprocess(*arguments, "-p", "no:cacheprovider")
        assert result.ret == 0, command.words
        ran.append(" ".join(command.words))
    return ran


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.launches_mpi  # the check of the machine starts two ranks
def test_start_page_leads_to_a_report(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    assert len(run_page(pytester, run_ranks, "index.md")) == 5
    assert (pytester.path / "report.html").is_file()


FEW_REQUESTS = (
    *("--mlps-set=num_users=1", "--mlps-set=requests=8", "--mlps-set=rate=4"),
    *("--mlps-set=block_mib=1", "--mlps-set=entry_scale=0.01"),
)
OF_CLOSED_RUNS = frozenset({"--mlps-validate", "--mlps-submission"})


@pytest.mark.long
def test_commands_of_the_page_on_sizing_run(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    assert len(run_page(pytester, run_ranks, "sizing.md", FEW_REQUESTS)) == 5


@pytest.mark.long
def test_commands_of_the_page_on_proving_run(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    assert len(run_page(pytester, run_ranks, "proving.md", left_out=OF_CLOSED_RUNS)) == 4


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "number"),
    [("own-benchmarks.md", 2), ("coming-from-fio.md", 2), ("coming-from-elbencho.md", 1)],
)
def test_commands_of_a_page_run(
    pytester: pytest.Pytester, run_ranks: RunRanks, name: str, number: int
) -> None:
    assert len(run_page(pytester, run_ranks, name)) == number


@pytest.mark.long
@pytest.mark.launches_mpi
def test_command_of_the_cluster_page_runs_on_two_ranks(
    pytester: pytest.Pytester, run_ranks: RunRanks
) -> None:
    (command,) = run_page(pytester, run_ranks, "cluster.md")
    assert command.startswith("mpirun -n 2 pytest")
