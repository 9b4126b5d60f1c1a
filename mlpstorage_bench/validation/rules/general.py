"""Rules 1 and 2: the tree, its names, and the files of each leaf."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.invocation import exported_variables, recorded_commands
from mlpstorage_bench.validation.reading import Unreadable, has_directory, has_file
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
from mlpstorage_bench.validation.system_description import problems_of
from mlpstorage_bench.validation.tree import (
    POOL_MARKER,
    TIMESTAMP,
    Leaf,
    Organization,
    System,
    Tree,
    Workload,
    names_in,
)

TRAINING = ("training",)
CHECKPOINTING = ("checkpointing",)
DLIO_FILES = frozenset({"config.yaml", "hydra.yaml", "overrides.yaml"})
_PORTABLE = re.compile(r"[A-Za-z0-9._-]+")
_TIME = "%Y%m%d_%H%M%S"
TREE_RULES = Section(RULES.tree)
LEAF_RULES = Section(RULES.leaf)
ORGANIZATION_RULES = Section(RULES.organization)
SYSTEM_RULES = Section(RULES.system)
TRAINING_WORKLOAD_RULES = Section(RULES.workload, types=TRAINING)
TRAINING_DATAGEN_RULES = Section(RULES.leaf, types=TRAINING, commands=("datagen",))
TRAINING_RUN_RULES = Section(RULES.leaf, types=TRAINING, commands=("run",))
CHECKPOINTING_WORKLOAD_RULES = Section(RULES.workload, types=CHECKPOINTING)
CHECKPOINTING_LEAF_RULES = Section(RULES.leaf, types=CHECKPOINTING)
DLIO_LEAF_RULES = Section(RULES.leaf, types=("training", "checkpointing"))
KV_AND_VECTOR_RUN_RULES = Section(
    RULES.leaf, types=("kv_cache", "vector_database"), commands=("run",)
)


def _others(found: Iterable[str], allowed: Iterable[str], place: str) -> list[str]:
    extra = sorted(set(found) - set(allowed))
    return [f"{place} holds {', '.join(extra)}"] if extra else []


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
        _others(found, ["closed", "open", "code-images", *pools], "the top"), "nothing else"
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
        [*problems, *_others(found, wanted, str(organization))], "results and systems"
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
    problems += _others(files, allowed, "systems/")
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
    return violated_if(_others(found, edition.BENCHMARK_TYPES, str(system)), ", ".join(found))


@TRAINING_WORKLOAD_RULES.rule(
    "2.1.11",
    "trainingWorkloads",
    "Training has unet3d and retinanet only.",
    "tree",
)
def training_models(workload: Workload) -> Outcome:
    allowed = edition.TRAINING_MODELS
    problems = [f"{workload.model} is not one of {', '.join(allowed)}"] * (
        workload.model not in allowed
    )
    return violated_if(problems, workload.model)


@TRAINING_WORKLOAD_RULES.rule(
    "2.1.12",
    "trainingPhases",
    "A training workload has datasize, datagen and run, and nothing else.",
    "tree",
)
def training_phases(workload: Workload) -> Outcome:
    found = names_in(workload.path, directories=True)
    wanted = ("datasize", "datagen", "run")
    problems = [f"no {name} directory" for name in wanted if name not in found]
    return violated_if([*problems, *_others(found, wanted, str(workload))], "all three phases")


@TRAINING_WORKLOAD_RULES.rule(
    "2.1.13",
    "datagenTimestamp",
    "datagen has exactly one timestamp directory.",
    "tree",
)
def datagen_once(workload: Workload) -> Outcome:
    found = len(workload.of_command("datagen"))
    return violated_if([f"{found} directories; 1 is demanded"] * (found != 1), "one")


def _missing_files(leaf: Leaf, wanted: Iterable[str], endings: Iterable[str]) -> list[str]:
    problems = [f"no {name}" for name in wanted if name not in leaf.names]
    return problems + [
        f"no *{ending}"
        for ending in endings
        if not any(name.endswith(ending) for name in leaf.names)
    ]


def _is_own(leaf: Leaf) -> bool:
    """Whether a leaf's metadata is of this package, whose runs leave no files of DLIO."""
    return not isinstance(leaf.metadata, Unreadable) and leaf.metadata.has("mlpstorage")


_OWN = "a run of mlpstorage_bench leaves no files of DLIO"


@TRAINING_DATAGEN_RULES.rule(
    "2.1.14",
    "datagenFiles",
    "A datagen leaf has its logs, metadata and dlio_config/.",
    "leaf",
)
def datagen_files(leaf: Leaf) -> Outcome:
    if _is_own(leaf):
        return not_applicable(_OWN)
    wanted = (
        "training_datagen.stdout.log",
        "training_datagen.stderr.log",
        "dlio.log",
        "dlio_config",
    )
    return violated_if(_missing_files(leaf, wanted, ("_metadata.json",)), "all files")


def _dlio_config(leaf: Leaf) -> Outcome:
    if _is_own(leaf):
        return not_applicable(_OWN)
    directory = leaf.path / "dlio_config"
    if not has_directory(directory):
        return violated_if(["no dlio_config directory"], "")
    found = set(names_in(directory, directories=False))
    problems = [f"no dlio_config/{name}" for name in sorted(DLIO_FILES - found)]
    return violated_if([*problems, *_others(found, DLIO_FILES, "dlio_config")], "three files")


@TRAINING_DATAGEN_RULES.rule(
    "2.1.15",
    "datagenDlioConfig",
    "dlio_config/ holds config.yaml, hydra.yaml and overrides.yaml alone.",
    "leaf",
)
def datagen_config(leaf: Leaf) -> Outcome:
    return _dlio_config(leaf)


@TRAINING_WORKLOAD_RULES.rule(
    "2.1.16",
    "runResultsJson",
    "run/ holds one results.json.",
    "tree",
)
def training_results(workload: Workload) -> Outcome:
    path = workload.path / "run" / "results.json"
    return violated_if([] if has_file(path) else ["no run/results.json"], "run/results.json")


@TRAINING_WORKLOAD_RULES.rule(
    "2.1.17",
    "runTimestamps",
    "run/ holds exactly 6 timestamp directories, the first being the warm-up.",
    "tree",
)
def training_runs(workload: Workload) -> Outcome:
    found = len(workload.of_command("run"))
    wanted = edition.TRAINING_RUNS
    return violated_if([f"{found} directories; {wanted} are demanded"] * (found != wanted), "six")


def _gaps(workload: Workload) -> Outcome:
    """Compare the gaps between neighbouring leaves with how long a run takes."""
    runs = workload.of_command("run")
    if len(runs) < 2:  # noqa: PLR2004 - a gap has two sides
        return not_applicable("one run")
    problems = []
    for earlier, later in itertools.pairwise(runs):
        lasted = (
            None if isinstance(earlier.metadata, Unreadable) else earlier.metadata.number("runtime")
        )
        if lasted is None:
            return unknown(f"{earlier.timestamp}: no runtime is recorded")
        start, following = _time_of(earlier.timestamp), _time_of(later.timestamp)
        if start is None or following is None:
            return unknown("a directory's name is no time")
        idle = (following - start - timedelta(seconds=lasted)).total_seconds()
        if idle >= lasted:
            problems.append(
                f"{later.timestamp}: {idle:.0f} s after {earlier.timestamp} ended, which took "
                f"{lasted:.0f} s"
            )
    return violated_if(problems, f"{len(runs)} runs follow each other")


def _time_of(name: str) -> datetime | None:
    try:
        return datetime.strptime(name, _TIME) if TIMESTAMP.fullmatch(name) else None  # noqa: DTZ007 - local times of one machine
    except ValueError:
        return None


@TRAINING_WORKLOAD_RULES.rule(
    "2.1.18",
    "runTimestampGap",
    "Runs follow each other with less than one run's duration between.",
    "leaf names, metadata: runtime",
)
def training_gaps(workload: Workload) -> Outcome:
    return _gaps(workload)


@TRAINING_RUN_RULES.rule(
    "2.1.19",
    "runFiles",
    "A training run has its logs, outputs, statistics, summary and dlio_config/.",
    "leaf",
)
def run_files(leaf: Leaf) -> Outcome:
    if _is_own(leaf):
        return not_applicable(_OWN)
    wanted = ("training_run.stdout.log", "training_run.stderr.log", "dlio.log", "dlio_config")
    endings = ("output.json", "per_epoch_stats.json", "summary.json")
    return violated_if(_missing_files(leaf, wanted, endings), "all files")


@TRAINING_RUN_RULES.rule(
    "2.1.20",
    "runDlioConfig",
    "dlio_config/ holds config.yaml, hydra.yaml and overrides.yaml alone.",
    "leaf",
)
def run_config(leaf: Leaf) -> Outcome:
    return _dlio_config(leaf)


@CHECKPOINTING_WORKLOAD_RULES.rule(
    "2.1.21",
    "checkpointingWorkloads",
    "Checkpointing has the four models of llama3 only.",
    "tree",
)
def checkpoint_models(workload: Workload) -> Outcome:
    allowed = tuple(edition.CHECKPOINT_MODELS)
    problems = [f"{workload.model} is not one of {', '.join(allowed)}"] * (
        workload.model not in allowed
    )
    return violated_if(problems, workload.model)


@CHECKPOINTING_WORKLOAD_RULES.rule(
    "2.1.22",
    "checkpointingResultsJson",
    "The model's directory holds one results.json.",
    "tree",
)
def checkpoint_results(workload: Workload) -> Outcome:
    is_there = has_file(workload.path / "results.json")
    return violated_if([] if is_there else ["no results.json"], "results.json")


@CHECKPOINTING_WORKLOAD_RULES.rule(
    "2.1.23",
    "checkpointingTimestamps",
    "A checkpointing workload has one or two timestamp directories.",
    "tree",
)
def checkpoint_runs(workload: Workload) -> Outcome:
    found = len(workload.leaves)
    return violated_if([f"{found} directories; 1 or 2 are demanded"] * (found > 2), f"{found}")  # noqa: PLR2004 - write and read


@CHECKPOINTING_WORKLOAD_RULES.rule(
    "2.1.24",
    "checkpointingTimestampGap",
    "Invocations follow each other with less than one's duration between.",
    "leaf names, metadata: runtime",
)
def checkpoint_gaps(workload: Workload) -> Outcome:
    return _gaps(workload)


@CHECKPOINTING_LEAF_RULES.rule(
    "2.1.25",
    "checkpointingFiles",
    "A checkpointing leaf has its logs, outputs, statistics, summary and dlio_config/.",
    "leaf",
)
def checkpoint_files(leaf: Leaf) -> Outcome:
    if _is_own(leaf):
        return not_applicable(_OWN)
    wanted = (
        "checkpointing_run.stdout.log",
        "checkpointing_run.stderr.log",
        "dlio.log",
        "dlio_config",
    )
    endings = ("output.json", "per_epoch_stats.json", "summary.json")
    return violated_if(_missing_files(leaf, wanted, endings), "all files")


@CHECKPOINTING_LEAF_RULES.rule(
    "2.1.26",
    "checkpointingDlioConfig",
    "dlio_config/ holds config.yaml, hydra.yaml and overrides.yaml alone.",
    "leaf",
)
def checkpoint_config(leaf: Leaf) -> Outcome:
    return _dlio_config(leaf)


@TREE_RULES.rule(
    "2.1.27",
    "directoryDiagram",
    "A picture of the tree.",
    "none",
)
def diagram(_: Tree) -> Outcome:
    return not_applicable("a picture; its demands are those of the other rules")


@DLIO_LEAF_RULES.rule(
    "2.29",
    "dlioLog",
    "A picture of a leaf.",
    "none",
)
def leaf_diagram(_: Leaf) -> Outcome:
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
