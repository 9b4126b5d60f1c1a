"""Statements of parsed Python files; most of the nodes are expressions in them, left out here."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the module, its statements at any depth, and the clauses that contain some."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        yield node
        for block in ("body", "orelse", "handlers", "finalbody", "cases"):
            left += getattr(node, block, ())
