"""Rules 1 and 2.1.1 to 2.1.10: the tree, its names and its systems; LEAF-01."""

from __future__ import annotations

import re
from pathlib import Path

from mlpstorage_bench.leaves.invocation import exported_variables, recorded_commands
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.lookups import has_directory, names_in
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    Verdict,
    not_applicable,
    ok,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.rules.shared import others
from mlpstorage_bench.validation.system_description import problems_of
from mlpstorage_bench.validation.tree import POOL_MARKER, Organization, System, Tree

_PORTABLE = re.compile(r"[A-Za-z0-9._-]+")
TREE_RULES = Section(RULES.tree)
LEAF_RULES = Section(RULES.leaf)
ORGANIZATION_RULES = Section(RULES.organization)
SYSTEM_RULES = Section(RULES.system)
KV_AND_VECTOR_RUN_RULES = Section(
    RULES.leaf, types=("kv_cache", "vector_database"), commands=("run",)
)


@TREE_RULES.rule(
    "1.1",
    "mlpstorageGeneratesHierarchy",
    "The tool writes the whole tree but the system descriptions.",
    "none",
)
def generated(_: Tree) -> Outcome:
    return unknown("no file says which program wrote it")


@LEAF_RULES.rule(
    "1.2",
    "storageBackendEnvVarDeclaration",
    "No undeclared variable of the object storage library is set; else the run is open.",
    "metadata: commands",
    divisions=("closed",),
)
def backend_variables(leaf: Leaf) -> Outcome:
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return unknown(metadata.cause)
    commands = recorded_commands(metadata)
    if not commands:
        return unknown("no command is recorded")
    found = sorted(
        {
            name
            for words in commands
            for name in exported_variables(words)
            if name.startswith("S3DLIO_")
        }
    )
    return violated_if(
        [f"{name} is exported to the ranks" for name in found], "no command exports one"
    )


@TREE_RULES.rule(
    "2.1.1",
    "submitterRootDirectory",
    "The root is named as the submitter, in portable characters.",
    "tree",
)
def root_name(tree: Tree) -> Outcome:
    problems = [
        f"{organization} has characters other than letters, digits, '.', '_' and '-'"
        for organization in tree.organizations
        if not _PORTABLE.fullmatch(organization.name)
    ]
    return violated_if(problems, "every submitter's name is portable")


@TREE_RULES.rule(
    "2.1.2",
    "topLevelSubdirectories",
    "The top holds closed, open, the image pool, and pools of organizations; nothing else.",
    "tree",
)
def top_level(tree: Tree) -> Outcome:
    if not tree.is_whole:
        return not_applicable("a part of a tree")
    pools = [path.parent.name for path in tree.top.glob(f"*/{POOL_MARKER}")]
    found = [*names_in(tree.top, directories=True), *names_in(tree.top, directories=False)]
    return violated_if(
        others(found, ["closed", "open", "code-images", *pools], "the top"), "nothing else"
    )


@TREE_RULES.rule(
    "2.1.3",
    "openMatchesClosed",
    "Both divisions are built alike; each may be absent.",
    "tree",
)
def divisions(tree: Tree) -> Outcome:
    return ok(", ".join(sorted({organization.division for organization in tree.organizations})))


@ORGANIZATION_RULES.rule(
    "2.1.4",
    "closedSubmitterDirectory",
    "Each submitter has a directory of its name in its division.",
    "tree",
)
def submitter_directory(organization: Organization) -> Outcome:
    return ok(f"{organization.division}/{organization.name}")


@ORGANIZATION_RULES.rule(
    "2.1.5",
    "requiredSubdirectories",
    "A submitter's directory holds results and systems, and no other directory.",
    "tree",
)
def required_directories(organization: Organization) -> Outcome:
    found = names_in(organization.path, directories=True)
    wanted = ("results", "systems")
    problems = [f"no {name} directory" for name in wanted if name not in found]
    return violated_if(
        [*problems, *others(found, wanted, str(organization))], "results and systems"
    )


@ORGANIZATION_RULES.rule(
    "2.1.7",
    "systemsDirectoryFiles",
    "systems/ holds a valid YAML file and a PDF file for each system, and nothing else.",
    "systems/",
)
def system_files(organization: Organization) -> Outcome:
    directory = organization.path / "systems"
    if not has_directory(directory):
        return violated_if(["no systems directory"], "")
    problems = []
    files = [name for name in names_in(directory, directories=False) if not name.endswith(".md")]
    stems = {
        suffix: {Path(name).stem for name in files if name.endswith(suffix)}
        for suffix in (".yaml", ".pdf")
    }
    for system in organization.systems:
        problems += [
            f"no {system.name}{suffix}"
            for suffix, found in stems.items()
            if system.name not in found
        ]
        if not isinstance(system.description, Unreadable):
            problems += [f"{system.name}.yaml: {text}" for text in problems_of(system.description)]
    problems += [f"{name}.pdf has no YAML file" for name in sorted(stems[".pdf"] - stems[".yaml"])]
    allowed = [name for name in files if name.endswith((".yaml", ".pdf"))]
    problems += others(files, allowed, "systems/")
    return violated_if(problems, f"{len(organization.systems)} systems")


@ORGANIZATION_RULES.rule(
    "2.1.8",
    "resultsDirectorySystems",
    "results/ holds at least one system, each with a description.",
    "tree",
)
def described_systems(organization: Organization) -> Outcome:
    problems = [
        f"{system.name}: {system.description.cause}"
        for system in organization.systems
        if isinstance(system.description, Unreadable)
    ]
    return violated_if(problems, f"{len(organization.systems)} systems, each described")


@SYSTEM_RULES.rule(
    "2.1.9",
    "identicalSystemConfig",
    "Hardware and software are the same in every run of a system.",
    "metadata: system_info of all leaves",
)
def identical_system(system: System) -> Outcome:
    seen: dict[str, dict[str, str]] = {}
    for leaf in system.leaves:
        if isinstance(leaf.metadata, Unreadable):
            continue
        for host in leaf.metadata.parts("system_info", "hosts"):
            name = host.text("hostname") or ""
            facts = {
                "processor": host.text("cpu", "model"),
                "cores": host.number("cpu", "num_cores"),
                "memory": host.number("memory", "total"),
                "kernel": host.text("system", "kernel_version"),
            }
            for fact, value in facts.items():
                if value is not None:
                    seen.setdefault(f"{name}: {fact}", {}).setdefault(str(value), str(leaf))
    if not seen:
        return unknown("no leaf records its hosts")
    problems = [
        f"{fact} is " + " and ".join(f"{value} in {leaf}" for value, leaf in values.items())
        for fact, values in seen.items()
        if len(values) > 1
    ]
    return violated_if(problems, "the recorded facts agree")


@SYSTEM_RULES.rule(
    "2.1.10",
    "workloadCategories",
    "A system's directory holds only the benchmark types.",
    "tree",
)
def categories(system: System) -> Outcome:
    found = names_in(system.path, directories=True)
    return violated_if(others(found, edition.BENCHMARK_TYPES, str(system)), ", ".join(found))


@TREE_RULES.rule(
    "2.1.27",
    "directoryDiagram",
    "A picture of the tree.",
    "none",
)
def diagram(_: Tree) -> Outcome:
    return not_applicable("a picture; its demands are those of the other rules")


@KV_AND_VECTOR_RUN_RULES.rule(
    "LEAF-01",
    "runLeafMetadata",
    "A run's leaf has exactly one metadata file, named by type and time.",
    "leaf",
)
def one_metadata_file(leaf: Leaf) -> Outcome:
    found = [path.name for path in leaf.metadata_files]
    wanted = f"{leaf.benchmark_type}_{leaf.timestamp}_metadata.json"
    if found == [wanted]:
        return ok(wanted)
    return Outcome(
        Verdict.VIOLATED, (f"{', '.join(found) or 'no metadata file'}; {wanted} is demanded",)
    )
