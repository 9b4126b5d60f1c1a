"""The manifest of each organization (`submission.yaml`): its systems, runs and code images.

It is an inventory: it has no figures and no Public IDs.
"""

from __future__ import annotations

from datetime import datetime

import yaml

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.leaves.leaf import STAMP_FILE, Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.submission.choice import SUBMISSION_OPTION
from mlpstorage_bench.submission.program import program_and_version, text_of
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.code_images import image_of
from mlpstorage_bench.validation.lookups import has_file
from mlpstorage_bench.validation.rules.provenance import (
    MANIFEST_FILE,
    MANIFEST_SCHEMA,
    UNKNOWN,
)
from mlpstorage_bench.validation.tree import Organization, Tree

_LINE = 1 << 16
"""Longest line of the manifest, so that no path is broken."""


def write_manifests(tree: Tree, now: datetime) -> None:
    """Write the manifest of each organization of a submission."""
    for organization in tree.organizations:
        content = manifest_of(organization, tree, now)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=_LINE)
        write_named(SUBMISSION_OPTION, organization.path / MANIFEST_FILE, text)


def manifest_of(organization: Organization, tree: Tree, now: datetime) -> Json:
    """Return the inventory of an organization, with the values that files have."""
    leaves = [leaf for system in organization.systems for leaf in system.leaves]
    runs = [_run(leaf, organization) for leaf in leaves]
    versions = {_tool_version(leaf, tree) for leaf in leaves}
    commits = {_stamped(leaf, "dlio", "commit") for leaf in leaves}
    images = {run["code_image"] for run in runs}
    return {
        "schema": MANIFEST_SCHEMA,
        "orgname": organization.name,
        "mode": organization.division,
        "rules_edition": edition.EDITION,
        "layout_version": edition.LAYOUT_VERSION,
        "generated_at": text_of(now),
        "generated_by": program_and_version(),
        "tool_versions": _known(versions),
        "dlio_commits": _known(commits),
        "systems": [_system(organization, system.name) for system in organization.systems],
        "runs": runs,
        "code_images": _known(images),
        "provenance": {"rules_edition": "tool-constant", "runs": "walked"},
    }


def _run(leaf: Leaf, organization: Organization) -> dict[str, str]:
    place = leaf.path.relative_to(organization.path).as_posix()
    metadata, pointer = leaf.metadata, leaf.pointer
    accelerator = None if isinstance(metadata, Unreadable) else metadata.text("accelerator")
    return {
        "leaf": place,
        "benchmark": leaf.benchmark_type,
        "model": leaf.model,
        "command": leaf.command,
        "accelerator": accelerator or UNKNOWN,
        "system": leaf.system,
        "rules_edition": _stamped(leaf, "rules_edition"),
        "core_config": _stamped(leaf, "core_config", "hash"),
        "code_image": UNKNOWN if isinstance(pointer, Unreadable) else pointer.strip(),
        "provenance": f"{place}/{STAMP_FILE}" if STAMP_FILE in leaf.names else "derived",
    }


def _system(organization: Organization, name: str) -> dict[str, str]:
    pdf = f"systems/{name}.pdf"
    is_there = has_file(organization.path / pdf)
    return {
        "name": name,
        "description": f"systems/{name}.yaml",
        "pdf": pdf if is_there else "missing",
    }


def _stamped(leaf: Leaf, *keys: str) -> str:
    stamp = leaf.provenance
    return UNKNOWN if isinstance(stamp, Unreadable) else stamp.text(*keys) or UNKNOWN


def _tool_version(leaf: Leaf, tree: Tree) -> str:
    """Return the version in the stamp, or else in the record of the code image."""
    stamped = _stamped(leaf, "tool", "version")
    image = image_of(leaf, tree)
    record = None if stamped != UNKNOWN or image is None else image.record
    if record is None or isinstance(record, Unreadable):
        return stamped
    return record.text("mlpstorage_version") or UNKNOWN


def _known(values: set[str]) -> list[str]:
    return sorted(values - {UNKNOWN})
