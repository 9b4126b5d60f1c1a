"""The tables of docs/extending.md; `python -m tests.docs.extending_page --update` makes them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from mlpstorage_bench.benchmark_type.members import member_names
from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.trial.base_type import BaseType
from mlpstorage_bench.trial.services import TestedType
from tests.docs.made_part import MadePart, table

MODULE = "tests.docs.extending_page"


def members_of_types() -> str:
    """Return a table of the members of a type's object, and which of them BaseType has."""
    inherited = {name for name in member_names(BaseType) if hasattr(BaseType, name)}
    rows = [("`table`", "yours", "A `MetricTable`: the metrics of the type.")]
    for name in member_names(TestedType):
        owner = "`BaseType`" if name in inherited else "yours"
        rows.append((_called(TestedType, name), owner, _meaning(TestedType, name)))
    return table(("member", "from", "meaning"), sorted(rows, key=lambda row: row[1], reverse=True))


def members_of_plans() -> str:
    """Return a table of the members of a plan."""
    rows = [(_called(Plan, name), _meaning(Plan, name)) for name in member_names(Plan)]
    return table(("member", "meaning"), rows)


def _called(interface: type, name: str) -> str:
    """Return a member as it is used: a method with the names of its arguments."""
    member = inspect.getattr_static(interface, name)
    if isinstance(member, property):
        return f"`{name}`"
    return f"`{name}({', '.join(_arguments(inspect.signature(member)))})`"


def _arguments(signature: inspect.Signature) -> Iterator[str]:
    """Yield the arguments without `self`; those with a default have an ellipsis for it."""
    was_keyword = False
    for argument in [*signature.parameters.values()][1:]:
        is_keyword = argument.kind is inspect.Parameter.KEYWORD_ONLY
        if is_keyword and not was_keyword:
            yield "*"
        was_keyword = is_keyword
        yield argument.name + ("" if argument.default is inspect.Parameter.empty else "=…")


def _meaning(interface: type, name: str) -> str:
    """Return the first paragraph of a member's docstring, in a line."""
    text = inspect.getdoc(inspect.getattr_static(interface, name)) or ""
    return " ".join(text.partition("\n\n")[0].split())


PARTS = (
    MadePart("docs/extending.md", "members of types", MODULE, members_of_types),
    MadePart("docs/extending.md", "members of plans", MODULE, members_of_plans),
)

if __name__ == "__main__":
    for part in PARTS:
        part.main()
