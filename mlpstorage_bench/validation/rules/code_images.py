"""Rule 2.1.6, in its four checks, and the code rules 3.6.1 and 5.6.1: images of the source code."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.code_image import tree_hash
from mlpstorage_bench.validation.code_images import (
    image_of,
    images,
    pointed_hash,
)
from mlpstorage_bench.validation.lookups import has_directory
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    unknown,
    violated_if,
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.tree import Organization, Tree

_REMEDY = (
    "a results directory has none: pytest --mlps-submission=DIR makes it, and DIR is what to check"
)
_REMEDY_OF_OTHERS = "copy it from the results directory of the run"
TREE_RULES = Section(RULES.tree)
ORGANIZATION_RULES = Section(RULES.organization)
TRAINING_LEAF_RULES = Section(RULES.leaf, types=("training",))
VECTOR_LEAF_RULES = Section(RULES.leaf, types=("vector_database",))


@TREE_RULES.rule(
    "2.1.6",
    "codeDirectoryContents",
    "Each leaf's pointer names an image of the source code in the tree (CHECK-01).",
    ".mlps-code-image, code images",
)
def pointers(tree: Tree) -> Outcome:
    problems, judged = [], 0
    for leaf in tree.leaves:
        name = pointed_hash(leaf)
        if isinstance(name, Unreadable):
            problems.append(f"{leaf}: {name.cause}")
        elif image_of(leaf, tree) is None:
            problems.append(
                f"{leaf}: no image {name[:8]} in code-images/ or {leaf.organization}/; "
                f"{_REMEDY if _is_ours(leaf) else _REMEDY_OF_OTHERS}"
            )
        judged += 1
    return violated_if(problems, f"{judged} pointers")


def _is_ours(leaf: Leaf) -> bool:
    return not isinstance(leaf.metadata, Unreadable) and leaf.metadata.has("mlpstorage", "run_id")


@TREE_RULES.rule(
    "CHECK-02",
    "codeImageHash",
    "The recorded hash of an image is that of its files.",
    ".code-hash.json, code images",
)
def image_hashes(tree: Tree) -> Outcome:
    found = images(tree)
    if not found:
        return not_applicable("no image in the tree")
    problems = []
    for image in found:
        record = image.record
        recorded = None if isinstance(record, Unreadable) else record.text("hash")
        if recorded is None:
            problems.append(f"{image.path.name}: no recorded hash")
        else:
            problems += _hash_problems(image.path, recorded)
    return warning_if(problems, f"{len(found)} images")


def _hash_problems(image: Path, recorded: str) -> list[str]:
    try:
        found = tree_hash(image)
    except OSError as error:
        return [f"{image.name}: {error.strerror}"]
    if found == recorded:
        return []
    problem = (
        f"{image.name}: the files have another hash; published trees were stripped of a file, so "
        "that this is no sign of tampering"
    )
    return [problem]


@TREE_RULES.rule(
    "CHECK-03",
    "codeImageLinkage",
    "Each image is named by a leaf.",
    ".mlps-code-image, code images",
)
def orphans(tree: Tree) -> Outcome:
    named = {image.path for leaf in tree.leaves if (image := image_of(leaf, tree)) is not None}
    found = images(tree)
    if not found:
        return not_applicable("no image in the tree")
    problems = [f"no leaf names {image.path.name}" for image in found if image.path not in named]
    return warning_if(problems, f"{len(found)} images, each named")


@ORGANIZATION_RULES.rule(
    "CHECK-04",
    "noLegacyCode",
    "A submitter's directory has no code/ of its own.",
    "tree",
)
def no_code_directory(organization: Organization) -> Outcome:
    is_there = has_directory(organization.path / "code")
    return violated_if([f"{organization}/code is of an earlier layout"] * is_there, "none")


def _code_unchanged(leaf: Leaf) -> Outcome:
    name = pointed_hash(leaf)
    if isinstance(name, Unreadable):
        return unknown(name.cause)
    return unknown("no digest of the released source code is published to compare with")


@TRAINING_LEAF_RULES.rule(
    "3.6.1",
    "trainingClosedSubmissionChecksum",
    "The source code is that of the release.",
    ".mlps-code-image",
    divisions=("closed",),
)
def training_code(leaf: Leaf) -> Outcome:
    return _code_unchanged(leaf)


@VECTOR_LEAF_RULES.rule(
    "5.6.1",
    "vdbClosedSubmissionChecksum",
    "The source code is that of the release.",
    ".mlps-code-image",
    divisions=("closed",),
)
def vector_code(leaf: Leaf) -> Outcome:
    return _code_unchanged(leaf)
