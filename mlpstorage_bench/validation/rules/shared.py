"""Checks that several rules share: paths, filesystems, changed parameters, launches."""

from __future__ import annotations

from collections.abc import Iterable

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import Invocation, invocations
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation.rule import Outcome, not_applicable, unknown, violated_if


def path_arguments(leaf: Leaf, data: str) -> Outcome:
    """Judge whether the directories of data (argument `data`) and results are set and differ."""
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return unknown(metadata.cause)
    folder, results = metadata.text("args", data), metadata.text("args", "results_dir")
    problems = [
        f"{name} is not set"
        for name, value in ((data, folder), ("results_dir", results))
        if not value
    ]
    if folder and folder == results:
        problems.append(f"{data} and results_dir are both {folder}")
    return violated_if(problems, "both are set and differ")


def separate_filesystems(leaf: Leaf) -> Outcome:
    """Judge whether data and results lie on different filesystems."""
    metadata = leaf.metadata
    is_object = (
        not isinstance(metadata, Unreadable)
        and metadata.text("args", "data_access_protocol") == "object"
    )
    if is_object:
        return not_applicable("object storage has no filesystem")
    separation = leaf.separation
    if isinstance(separation, Unreadable):
        return unknown(separation.cause)
    same = separation.flag("same_filesystem")
    if same is None:
        return unknown("fs_separation.json does not say")
    return violated_if(["data and results lie on one filesystem"] * same, "two filesystems")


def changed_parameters(metadata: Document) -> set[str]:
    """Return the dotted names that the user or the tool set."""
    names = {name for name, _ in metadata.items("override_parameters")}
    names |= {word.partition("=")[0] for word in metadata.texts("args", "params") if "=" in word}
    return names


def set_parameters(leaf: Leaf, allowed: frozenset[str]) -> Outcome:
    """Judge whether only these parameters were changed."""
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return unknown(metadata.cause)
    foreign = sorted(changed_parameters(metadata) - allowed)
    return violated_if([f"{name} was changed" for name in foreign], "only what the rules list")


def launches_of(leaf: Leaf) -> list[Invocation] | Outcome:
    """Return the launches of trials, or that there are none to judge by."""
    if isinstance(leaf.metadata, Unreadable):
        return unknown(leaf.metadata.cause)
    found = invocations(leaf.metadata)
    return found or unknown("metadata records no command of a trial")


def others(found: Iterable[str], allowed: Iterable[str], place: str) -> list[str]:
    extra = sorted(set(found) - set(allowed))
    return [f"{place} holds {', '.join(extra)}"] if extra else []
