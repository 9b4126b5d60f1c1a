"""Verdicts on published runs, as a golden list that names none of their owners.

`python -m tests.validation.published --update` writes the list again.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.validation.tree import Tree, Workload, read_tree
from mlpstorage_bench.validation.validate import Finding, validate

PUBLISHED = Path(__file__).parents[3] / "shared" / "results-v3"
GOLDEN = Path(__file__).with_name("published_verdicts.json")


def is_absent() -> bool:
    """Whether the published runs are missing; in CI that is an error and no reason to skip."""
    if PUBLISHED.is_dir():
        return False
    assert "CI" not in os.environ, f"{PUBLISHED} is missing"
    return True


def verdicts_by_run() -> dict[str, dict[str, str]]:
    """Return the verdicts of each part, keyed by its type and times instead of its names."""
    tree = read_tree(PUBLISHED)
    names = {".": "tree", **dict(_names(tree))}
    found: dict[str, dict[str, str]] = {}
    for finding in validate(tree):
        found.setdefault(names[finding.subject], {})[finding.rule] = str(finding.verdict)
    return found


def findings_of(run: str) -> list[Finding]:
    """Return the findings on the leaf with this type and time: `kv_cache/20260724_130034`."""
    leaf = next(one for one in read_tree(PUBLISHED).leaves if _key([one]) == run)
    return [finding for finding in validate(read_tree(leaf.path)) if finding.subject == str(leaf)]


def workload_of(run: str) -> Workload:
    """Return the workload that has this leaf."""
    return next(
        workload
        for system in read_tree(PUBLISHED).systems
        for workload in system.workloads
        if any(_key([leaf]) == run for leaf in workload.leaves)
    )


def _names(tree: Tree) -> list[tuple[str, str]]:
    names = []
    for organization in tree.organizations:
        leaves = [leaf for system in organization.systems for leaf in system.leaves]
        names.append((str(organization), f"organization of {_key(leaves)}"))
        for system in organization.systems:
            names.append((str(system), f"system of {_key(system.leaves)}"))
            for workload in system.workloads:
                names.append((str(workload), f"workload of {_key(workload.leaves)}"))
                names += [(str(leaf), _key([leaf])) for leaf in workload.leaves]
    return names


def _key(leaves: list[Leaf]) -> str:
    return " ".join(sorted(f"{leaf.benchmark_type}/{leaf.timestamp}" for leaf in leaves))


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    GOLDEN.write_text(json.dumps(verdicts_by_run(), indent=1, sort_keys=True) + "\n")
