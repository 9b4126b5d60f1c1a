"""Rules 2.1.11 to 2.29: models, times and files of training and checkpointing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime

from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.place import TIMESTAMP
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.consecutive_runs import late_start, long_interruption
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.lookups import has_directory, has_file, names_in
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.rules.shared import others
from mlpstorage_bench.validation.tree import Workload

TRAINING = ("training",)
CHECKPOINTING = ("checkpointing",)
DLIO_FILES = frozenset({"config.yaml", "hydra.yaml", "overrides.yaml"})
_TIME = "%Y%m%d_%H%M%S"
TRAINING_WORKLOAD_RULES = Section(RULES.workload, types=TRAINING)
TRAINING_DATAGEN_RULES = Section(RULES.leaf, types=TRAINING, commands=("datagen",))
TRAINING_RUN_RULES = Section(RULES.leaf, types=TRAINING, commands=("run",))
CHECKPOINTING_WORKLOAD_RULES = Section(RULES.workload, types=CHECKPOINTING)
CHECKPOINTING_LEAF_RULES = Section(RULES.leaf, types=CHECKPOINTING)
DLIO_LEAF_RULES = Section(RULES.leaf, types=("training", "checkpointing"))


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
    return violated_if([*problems, *others(found, wanted, str(workload))], "all three phases")


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
    return violated_if([*problems, *others(found, DLIO_FILES, "dlio_config")], "three files")


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


def _gaps(workload: Workload, *, starts_anew: bool) -> Outcome:
    """Compare the gaps between neighbouring leaves with how long a run takes.

    A run that `starts_anew` after an interruption follows the one before it only from there on.
    """
    runs = workload.of_command("run")
    if len(runs) < 2:  # noqa: PLR2004 - a gap has two sides
        return not_applicable("one run")
    problems = []
    for earlier, later in itertools.pairwise(runs):
        lasted = _runtime_s(earlier)
        if lasted is None:
            return unknown(f"{earlier.timestamp}: no runtime is recorded")
        start, following = _time_of(earlier.timestamp), _time_of(later.timestamp)
        if start is None or following is None:
            return unknown("a directory's name is no time")
        paused = _paused_s(earlier)
        idle = (following - start).total_seconds() - lasted - paused
        late = late_start(earlier.timestamp, lasted, paused, idle)
        if late:
            problems.append(f"{later.timestamp}: {late}")
    last_s = _runtime_s(runs[-1])
    if starts_anew and last_s is not None:
        interruption = long_interruption(last_s, _paused_s(runs[-1]))
        problems += [f"{runs[-1].timestamp}: {interruption}"] * bool(interruption)
    return violated_if(problems, f"{len(runs)} runs follow each other")


def _runtime_s(leaf: Leaf) -> float | None:
    return None if isinstance(leaf.metadata, Unreadable) else leaf.metadata.number("runtime")


def _paused_s(leaf: Leaf) -> float:
    """Return the seconds in which a run of this package was interrupted; 0 for other runs."""
    if isinstance(leaf.metadata, Unreadable):
        return 0.0
    pauses = leaf.metadata.parts("mlpstorage", "resumed", "pauses")
    return sum(pause.number("seconds") or 0.0 for pause in pauses)


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
    return _gaps(workload, starts_anew=True)


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
    return _gaps(workload, starts_anew=False)


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


@DLIO_LEAF_RULES.rule(
    "2.29",
    "dlioLog",
    "A picture of a leaf.",
    "none",
)
def leaf_diagram(_: Leaf) -> Outcome:
    return not_applicable("a picture; its demands are those of the other rules")
