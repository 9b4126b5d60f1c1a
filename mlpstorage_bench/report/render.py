"""Reports as files: Markdown, and HTML through a template."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_markdown, for_terminal_lines
from mlpstorage_bench.paths import starts_with
from mlpstorage_bench.report.document import Report, build_report
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.results.tree import write_named

REPORT_OPTION = "--mlps-report"
MARKDOWN_BEGINNING = "<!-- written by mlpstorage_bench -->\n"
"""First characters of an own report, which may be overwritten."""
_HTML_BEGINNING = "<!doctype html>\n" + MARKDOWN_BEGINNING


def check_renderer(path: Path) -> None:
    """Raise InvalidInputError if this file's format cannot be rendered here."""
    if path.suffix == ".html" and importlib.util.find_spec("jinja2") is None:
        raise InvalidInputError(
            REPORT_OPTION,
            str(path),
            "a name in .md, as jinja2 is not installed",
            hint="For HTML: pip install 'mlpstorage-bench[report]'",
        )


def write_report(path: Path, metadata: RunMetadata) -> Path:
    """Write a run's report in the format of the file's suffix; InvalidInputError on failure."""
    return write_named(REPORT_OPTION, path, _RENDERERS[path.suffix](build_report(metadata)))


def is_own_report(path: Path) -> bool:
    """Return whether a file is a report that an earlier run has written."""
    beginning = _HTML_BEGINNING if path.suffix == ".html" else MARKDOWN_BEGINNING
    return starts_with(beginning.encode())(path)


def to_markdown(report: Report) -> str:
    """Render a report as GitHub-flavoured Markdown; its text contains no markup and no links."""
    lines = [f"# {for_markdown(report.title)}", ""]
    lines += [f"> {for_markdown(note)}" for note in report.notes]
    for section in report.sections:
        lines += ["", f"## {for_markdown(section.title)}", ""]
        lines.append(f"| {' | '.join(map(for_markdown, section.header))} |")
        lines.append("|" + " --- |" * len(section.header))
        lines += [f"| {' | '.join(map(for_markdown, row))} |" for row in section.rows]
    return "\n".join(lines) + "\n"


def to_html(report: Report) -> str:
    """Render a report as one self-contained page; its text contains no markup."""
    import jinja2  # noqa: PLC0415 - an extra: needed for HTML alone

    template = resources.files("mlpstorage_bench.report") / "templates" / "report.html"
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=for_terminal_lines
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(report=report)


_RENDERERS: Mapping[str, Callable[[Report], str]] = {
    ".md": lambda report: MARKDOWN_BEGINNING + to_markdown(report),
    ".html": to_html,
}
