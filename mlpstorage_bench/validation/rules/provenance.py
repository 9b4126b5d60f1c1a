"""Rules RPT, PROV and EDN: roll-up tables, stamps, and the rules edition."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.leaves.leaf import STAMP_FILE, Leaf
from mlpstorage_bench.leaves.reading import Unreadable, read_json, read_yaml
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.lookups import has_file
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    unknown,
    violated_if,
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import Organization

STAMP_SCHEMA = "mlps-run-provenance/1"
MANIFEST_SCHEMA = "mlps-submission-manifest/1"
MANIFEST_FILE = "submission.yaml"
UNKNOWN = "unknown"
"""Stands in stamps for what is not known."""
_NO_STAMP = "no provenance.json; leaves of the published round have none"
ORGANIZATION_RULES = Section(RULES.organization)
LEAF_RULES = Section(RULES.leaf)
DLIO_LEAF_RULES = Section(RULES.leaf, types=("training", "checkpointing"))


@ORGANIZATION_RULES.rule(
    "RPT-01",
    "rollupTableAgreement",
    "The ids of the organization's table are those of its workloads' tables.",
    "results.json",
)
def rollup(organization: Organization) -> Outcome:
    whole = organization.path / "results" / "results.json"
    tables = [
        path
        for system in organization.systems
        for workload in system.workloads
        for path in (workload.path / "results.json", workload.path / "run" / "results.json")
        if has_file(path)
    ]
    if not has_file(whole) or not tables:
        return not_applicable("no results.json of the organization or of a workload")
    together = _ids(whole)
    parts = [_ids(path) for path in tables]
    if isinstance(together, Unreadable):
        return violated_if([together.cause], "")
    found: set[str] = set()
    for part in parts:
        if isinstance(part, Unreadable):
            return violated_if([part.cause], "")
        found |= part
    problems = [f"{name} is in one table only" for name in sorted(together ^ found)]
    return violated_if(problems, f"{len(together)} ids")


def _ids(path: Path) -> set[str] | Unreadable:
    table = read_json(path)
    if isinstance(table, Unreadable):
        return table
    names = (row.text("Public ID") for row in table.parts())
    return {name for name in names if name}


@LEAF_RULES.rule(
    "PROV-01",
    "leafProvenance",
    "A stamp can be read and names the leaf's image.",
    "provenance.json",
)
def stamp(leaf: Leaf) -> Outcome:
    declared = not isinstance(leaf.metadata, Unreadable) and leaf.metadata.text("provenance_file")
    if STAMP_FILE not in leaf.names:
        if declared:
            return violated_if([f"metadata names {declared}, which is missing"], "")
        return not_applicable(_NO_STAMP)
    found = leaf.provenance
    if isinstance(found, Unreadable):
        return violated_if([found.cause], "")
    problems = []
    if found.text("schema") != STAMP_SCHEMA:
        problems.append(f"the schema is {found.text('schema')!r}; {STAMP_SCHEMA} is known")
    if found.text("tool", "code_image") not in {UNKNOWN, leaf.pointer}:
        problems.append("tool.code_image is another image than the leaf's pointer names")
    return violated_if(problems, "the stamp names the leaf's image")


@ORGANIZATION_RULES.rule(
    "PROV-02",
    "submissionManifest",
    "The manifest lists exactly the leaves of the tree, and has the edition of their stamps.",
    "submission.yaml",
)
def manifest(organization: Organization) -> Outcome:
    path = organization.path / MANIFEST_FILE
    if not has_file(path):
        return not_applicable("no submission.yaml")
    found = read_yaml(path)
    if isinstance(found, Unreadable):
        return violated_if([found.cause], "")
    leaves = [leaf for system in organization.systems for leaf in system.leaves]
    there = {leaf.path.relative_to(organization.path).as_posix() for leaf in leaves}
    listed = {run.text("leaf") or "a run without `leaf`" for run in found.parts("runs")}
    problems = [f"{name} is not in the tree" for name in sorted(listed - there)]
    problems += [f"{name} is not in the manifest" for name in sorted(there - listed)]
    if found.text("schema") != MANIFEST_SCHEMA:
        problems.append(f"the schema is {found.text('schema')!r}; {MANIFEST_SCHEMA} is known")
    declared = found.text("rules_edition")
    problems += [
        f"{leaf.timestamp} is stamped with edition {stamped!r}, the manifest with {declared!r}"
        for leaf in leaves
        if (stamped := _edition_of(leaf)) not in {None, declared}
    ]
    return violated_if(problems, f"{len(listed)} runs")


def _edition_of(leaf: Leaf) -> str | None:
    if isinstance(leaf.provenance, Unreadable):
        return None
    return leaf.provenance.text("rules_edition")


@LEAF_RULES.rule(
    "EDN-01",
    "knownEdition",
    "The stamp names a rules edition that is known.",
    "provenance.json",
)
def known_edition(leaf: Leaf) -> Outcome:
    found = _edition_of(leaf)
    if found is None:
        return not_applicable(_NO_STAMP)
    return violated_if(
        [f"edition {found!r}; {edition.EDITION} is known"] * (found != edition.EDITION), found
    )


@LEAF_RULES.rule(
    "EDN-02",
    "comparabilityClass",
    "The hash of the workload's configuration belongs to a class.",
    "provenance.json",
    divisions=("closed",),
)
def comparability(leaf: Leaf) -> Outcome:
    if isinstance(leaf.provenance, Unreadable):
        return not_applicable(_NO_STAMP)
    found = leaf.provenance.text("core_config", "hash")
    if found in {None, UNKNOWN}:
        return unknown("the stamp has no hash of the configuration")
    return unknown("the hashes of the classes are not published as data")


@DLIO_LEAF_RULES.rule(
    "EDN-03",
    "acceptedDlio",
    "The commit of DLIO is one that the edition accepts.",
    "provenance.json",
)
def accepted_dlio(leaf: Leaf) -> Outcome:
    if isinstance(leaf.provenance, Unreadable):
        return not_applicable(_NO_STAMP)
    found = leaf.provenance.text("dlio", "commit")
    if found in {None, UNKNOWN}:
        return warning_if(["the stamp has no commit of DLIO"], "")
    return unknown("the accepted commits are not published as data")


@LEAF_RULES.rule(
    "EDN-04",
    "checkableEdition",
    "The edition is one that this checker can check.",
    "provenance.json",
)
def checkable_edition(leaf: Leaf) -> Outcome:
    found = _edition_of(leaf)
    if found is None:
        return not_applicable(_NO_STAMP)
    return violated_if(
        [f"edition {found!r}; this checker knows {edition.EDITION}"] * (found != edition.EDITION),
        found,
    )
