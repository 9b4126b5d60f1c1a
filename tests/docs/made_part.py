"""Parts of pages that are made from declarations: held by tests, and written again on demand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.docs.pages import PROJECT

BAR = r"\|"


@dataclass(frozen=True)
class MadePart:
    """The part of a page between two comments, which `python -m MODULE --update` writes again."""

    page: str
    """Path in the project."""
    name: str
    module: str
    make: Callable[[], str]

    @property
    def command(self) -> str:
        """The command that writes the part again."""
        return f"python -m {self.module} --update"

    def written(self) -> str:
        """Return the page as it is."""
        return (PROJECT / self.page).read_text(encoding="utf-8")

    def made(self) -> str:
        """Return the page with the part as the declarations make it now."""
        begin = f"<!-- {self.name}: made by {self.command} -->\n"
        end = f"<!-- end of {self.name} -->\n"
        before, rest = self.written().split(begin, 1)
        _, after = rest.split(end, 1)
        return f"{before}{begin}\n{self.make()}\n{end}{after}"

    def check(self) -> None:
        """Fail the test unless the page is as it would be made now."""
        assert self.written() == self.made(), f"run {self.command}"

    def main(self) -> None:
        """Write the page again, if the command line asks for it."""
        if sys.argv[1:] == ["--update"]:
            (PROJECT / self.page).write_text(self.made(), encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; a bar in a cell is escaped."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n"

    return "".join([line(header), "|" + "---|" * len(header) + "\n", *map(line, rows)])
