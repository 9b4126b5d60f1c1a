"""The verdicts that each rule can give, and their reasons, read from the code of its check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import mlpstorage_bench.validation.rules as package

HELPERS = {
    "ok": (("ok", 0),),
    "unknown": (("cannot tell", 0),),
    "not_applicable": (("not applicable", 0),),
    "violated_if": (("violated", None), ("ok", 1)),
    "warning_if": (("warning", None), ("ok", 1)),
}
"""Function of `validation.rule` → verdicts, each with the place of its reason; None: problems."""
GIVEN = {
    "of_metadata": "the metadata cannot be read",
    "of_summary": "the summary cannot be read",
    "of_description": "the description cannot be read",
}
"""Decorator of a check → the reason for which it cannot tell."""
NAMED = {
    "OK": "ok",
    "VIOLATED": "violated",
    "WARNING": "warning",
    "UNKNOWN": "cannot tell",
    "NOT_APPLICABLE": "not applicable",
}


@dataclass
class Module:
    """A module of rules."""

    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)


def verdicts() -> dict[str, dict[str, list[str]]]:
    """Return rule id → verdict → reasons, `…` standing for what a tree decides."""
    return {
        rule_id: _verdicts_of(check, module)
        for module in _modules().values()
        for check in module.functions.values()
        for rule_id in _ids(check)
    }


@cache
def _modules() -> dict[str, Module]:
    folder = Path(str(package.__file__)).parent
    return {path.stem: _module(path) for path in sorted(folder.glob("*.py"))}


def _module(path: Path) -> Module:
    found = Module()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.functions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.constants[node.targets[0].id] = node.value
    return found


def _ids(check: ast.FunctionDef) -> Iterator[str]:
    for decorator in check.decorator_list:
        if isinstance(decorator, ast.Call) and _called(decorator) == "rule":
            first = decorator.args[0]
            assert isinstance(first, ast.Constant)
            yield str(first.value)


def _verdicts_of(check: ast.FunctionDef, module: Module) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for decorator in check.decorator_list:
        if isinstance(decorator, ast.Name) and decorator.id in GIVEN:
            found.setdefault("cannot tell", []).append(GIVEN[decorator.id])
    for function, place in _reached(check, module):
        for verdict, reason in _outcomes(function, place):
            reasons = found.setdefault(verdict, [])
            if reason and reason not in reasons:
                reasons.append(reason)
    return found


def _reached(check: ast.FunctionDef, module: Module) -> Iterator[tuple[ast.FunctionDef, Module]]:
    """Yield the functions of rule modules that a check calls, and itself, each once."""
    waiting, seen = [(check, module)], {check.name}
    while waiting:
        function, place = waiting.pop(0)
        yield function, place
        for node in ast.walk(function):
            name = _called(node) if isinstance(node, ast.Call) else ""
            if not name or name in seen or name in HELPERS:
                continue
            for other in (place, _modules()["shared"]):
                if name in other.functions:
                    seen.add(name)
                    waiting.append((other.functions[name], other))
                    break


def _outcomes(function: ast.FunctionDef, module: Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _called(node) in HELPERS:
            for verdict, place in HELPERS[_called(node)]:
                known = place is not None and place < len(node.args)
                text = _text(node.args[place], module) if known else ""  # type: ignore[index]  # it is no None
                if verdict != "ok" or text or place == 0:
                    yield verdict, text
        elif isinstance(node, ast.Attribute) and _is_verdict(node):
            yield NAMED[node.attr], ""


def _is_verdict(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "Verdict" and node.attr in NAMED


def _text(node: ast.expr, module: Module) -> str:
    """Return a text as the code has it, with `…` for its variable parts; '' if it is unknown."""
    if isinstance(node, ast.Name) and node.id in module.constants:
        return _text(module.constants[node.id], module)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "…" for one in node.values)
        return "".join(map(str, parts))
    if isinstance(node, ast.Attribute) and node.attr == "cause":
        return "a file that it needs is not there or cannot be read"
    return ""


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""
