"""Pages run as a reader would: the files that they show, then their commands, one after another.

Trials are shortened, and a directory stands for the reader's storage. Commands for other hosts and
resource managers, and those that take hours, are left to test_commands.py, which parses them.
"""

from __future__ import annotations

import pytest

from tests.conftest import RunRanks
from tests.docs.page_commands import commands, files, on_storage
from tests.docs.pages import PROJECT
from tests.docs.test_examples import SHORTENED

SMALL = (*SHORTENED, "--mlps-set=entry_scale=0.002", "--mlps-results-dir=mlps-results")


def run_page(pytester: pytest.Pytester, run_ranks: RunRanks, name: str) -> list[str]:
    """Run a page's commands and return them, joined; each has to end with status 0."""
    page = PROJECT / "docs" / name
    storage = pytester.mkdir("storage")
    for file, text in files(page).items():
        (pytester.path / file).write_text(text)
    ran = []
    for command in commands(page):
        if not command.runs_here:
            continue
        arguments = on_storage(command.arguments, storage)
        if command.measures:
            arguments += SMALL
        if command.launcher:
            ranks = int(command.launcher[command.launcher.index("-n") + 1])
            result = run_ranks(ranks, *arguments)
        else:
            result = pytester.runpytest_subprocess(*arguments, "-p", "no:cacheprovider")
        assert result.ret == 0, command.words
        ran.append(" ".join(command.words))
    return ran


@pytest.mark.slow
def test_start_page_leads_to_a_report(pytester: pytest.Pytester, run_ranks: RunRanks) -> None:
    assert len(run_page(pytester, run_ranks, "index.md")) == 5
    assert (pytester.path / "report.html").is_file()
