"""The table of equivalents in docs/coming-from-mlpstorage.md.

`python -m tests.docs.equivalents_page --update` writes it again.
"""

from __future__ import annotations

from mlpstorage_bench.options.of_reference import every_counterpart
from tests.docs.made_part import MadePart, table


def equivalents() -> str:
    """Return a table with a row for each form, and the reference's options that have it."""
    options_by_form: dict[str, list[str]] = {}
    for option, form in every_counterpart():
        options_by_form.setdefault(form, []).append(f"`{option}`")
    rows = [(", ".join(options), _marked(form)) for form, options in options_by_form.items()]
    return table(("mlpstorage, kv-cache.py", "here"), rows)


def _marked(form: str) -> str:
    """Return a form as Markdown: the command line in it is code."""
    if not form.startswith("--"):
        return form
    command, comma, remark = form.partition(", ")
    return f"`{command}`{comma}{remark}"


EQUIVALENTS = MadePart(
    "docs/coming-from-mlpstorage.md", "equivalents", "tests.docs.equivalents_page", equivalents
)

if __name__ == "__main__":
    EQUIVALENTS.main()
