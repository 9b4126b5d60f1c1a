"""Rules 4.3 to 4.6: model, parameters and processes of checkpointing."""

from __future__ import annotations

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_metadata,
    ok,
    unknown,
    violated_if,
    warning_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.rules.shared import (
    path_arguments,
    separate_filesystems,
    set_parameters,
)

TYPES = ("checkpointing",)
RUN = ("run",)
CLOSED = ("closed",)
_MEMORY_FACTOR = 3
_DROPPED = "dropped"
"""Recorded of reads whose files were out of the page cache; of those that need no drop, ''."""
RUN_RULES = Section(RULES.leaf, types=TYPES, commands=RUN)


def _metadata(leaf: Leaf) -> Document | Outcome:
    found = leaf.metadata
    return unknown(found.cause) if isinstance(found, Unreadable) else found


def _writes(metadata: Document) -> float | None:
    return metadata.number("args", "num_checkpoints_write")


@RUN_RULES.rule(
    "4.3.1",
    "checkpointDataSizeRatio",
    "Each client writes more than 3 x its memory, or caches are cleared between the phases.",
    "summary: checkpoint_size_GB; metadata: args, mlpstorage.metrics.read.caches",
)
@of_metadata
def data_ratio(leaf: Leaf, metadata: Document) -> Outcome:
    if isinstance(leaf.summary, Unreadable):
        return unknown(leaf.summary.cause)
    size = leaf.summary.number("metric", "checkpoint_size_GB")
    hosts = leaf.summary.number("num_hosts")
    memory = metadata.number("args", "client_host_memory_in_gb")
    writes = _writes(metadata)
    if not size or not hosts or not memory or writes is None:
        return unknown("size, hosts, memory or number of checkpoints is not recorded")
    if not writes:
        return not_applicable("a read phase")
    caches = metadata.texts("mlpstorage", "metrics", "read", "caches")  # of each read
    if caches[:1] == [_DROPPED] and {*caches} <= {"", _DROPPED}:
        return ok("caches were dropped before the first read, and after it where that was due")
    each = size * writes / hosts
    problems = [
        f"{each:.0f} GiB per client are less than 3 x {memory:.0f} GB of memory: clear the caches"
    ] * (each <= _MEMORY_FACTOR * memory)
    return warning_if(problems, f"{each:.0f} GiB per client, {memory:.0f} GB of memory")


@RUN_RULES.rule(
    "4.3.2",
    "checkpointFsyncVerification",
    "Each write ends with fsync.",
    "metadata: parameters.checkpoint.fsync",
)
@of_metadata
def fsync(_: Leaf, metadata: Document) -> Outcome:
    found = metadata.flag("parameters", "checkpoint", "fsync")
    if found is None:
        return unknown("parameters.checkpoint.fsync is not recorded")
    return violated_if([] if found else ["fsync is off"], "fsync is on")


_SHAPE = {
    "layers": ("num_layers",),
    "hidden": ("transformer", "hidden_size"),
    "ffn": ("transformer", "ffn_hidden_size"),
    "heads": ("transformer", "num_attention_heads"),
    "kv_heads": ("transformer", "num_kv_heads"),
    "tensor_parallel": ("parallelism", "tensor"),
    "pipeline_parallel": ("parallelism", "pipeline"),
    "zero_stage": ("parallelism", "zero_stage"),
}

"""Places below parameters.model."""


@RUN_RULES.rule(
    "4.3.3",
    "checkpointModelConfigurationReq",
    "The model has exactly the published shape.",
    "metadata: parameters.model",
)
def model_shape(leaf: Leaf) -> Outcome:
    model = edition.CHECKPOINT_MODELS.get(leaf.model)
    if model is None:
        return violated_if([f"{leaf.model} is no model of the rules"], "")
    metadata = _metadata(leaf)
    if isinstance(metadata, Outcome):
        return metadata
    recorded = metadata.part("parameters", "model")
    problems, judged = [], 0
    for name, keys in _SHAPE.items():
        found, wanted = recorded.number(*keys), getattr(model, name)
        if found is None:
            continue
        judged += 1
        if found != wanted:
            problems.append(f"{name} is {found:g}; {wanted} is published")
    if not judged:
        return unknown("parameters.model has no shape")
    return violated_if(problems, f"{judged} values agree")


@RUN_RULES.rule(
    "4.3.4",
    "checkpointAggregateAcceleratorMemory",
    "The accelerators' memory together holds the checkpoint.",
    "metadata: accelerator, num_processes; summary: checkpoint_size_GB",
)
@of_metadata
def accelerator_memory(leaf: Leaf, metadata: Document) -> Outcome:
    name = metadata.text("accelerator") or metadata.text("args", "accelerator_type")
    ranks = metadata.number("num_processes")
    if isinstance(leaf.summary, Unreadable):
        return unknown(leaf.summary.cause)
    size = leaf.summary.number("metric", "checkpoint_size_GB")
    if name is None:
        return unknown("no accelerator is recorded; the published round did not ask for one")
    memory = edition.ACCELERATOR_MEMORY_GB.get(name.lower())
    if memory is None:
        return violated_if([f"{name} is no accelerator of the rules"], "")
    if ranks is None or size is None:
        return unknown("ranks or checkpoint size are not recorded")
    problems = [f"{memory} GB x {ranks:.0f} is less than {size:.0f}"] * (memory * ranks < size)
    if name.lower() in edition.WHATIF_ACCELERATORS and leaf.division != "whatif":
        problems.append(f"{name} is for whatif only")
    return violated_if(problems, f"{memory} GB x {ranks:.0f}")


def _is_subset(metadata: Document) -> bool:
    mode = metadata.text("parameters", "checkpoint", "mode")
    return mode == "subset" or bool(metadata.flag("args", "checkpoint_subset"))


@RUN_RULES.rule(
    "4.3.5",
    "checkpointSubsetRunValidation",
    "A subset run has the 8B model and exactly 8 processes.",
    "metadata: parameters.checkpoint.mode, args.checkpoint_subset",
)
@of_metadata
def subset(leaf: Leaf, metadata: Document) -> Outcome:
    if not _is_subset(metadata):
        return not_applicable("no subset run")
    ranks = metadata.number("num_processes")
    smallest = edition.CHECKPOINT_MODELS["llama3-8b"].ranks
    problems = [f"{leaf.model} has no subset"] * (leaf.model != "llama3-8b")
    problems += [f"{ranks} processes; 8 are demanded"] * (ranks != smallest)
    return violated_if(problems, "8B with 8 processes")


@RUN_RULES.rule(
    "4.3.6",
    "checkpointResultAggregation",
    "Defines what is published; demands nothing of a submission.",
    "none",
)
def aggregation(_: Leaf) -> Outcome:
    return not_applicable("a definition without a demand")


@RUN_RULES.rule(
    "4.4.1",
    "checkpointPathArgs",
    "Checkpoint and results directory are set and differ.",
    "metadata: args",
)
def paths(leaf: Leaf) -> Outcome:
    return path_arguments(leaf, "checkpoint_folder")


@RUN_RULES.rule(
    "4.4.2",
    "checkpointFilesystemCheck",
    "Checkpoints and results lie on different filesystems.",
    "fs_separation.json",
)
def filesystems(leaf: Leaf) -> Outcome:
    return separate_filesystems(leaf)


@RUN_RULES.rule(
    "4.6.1",
    "checkpointClosedMpiProcesses",
    "The number of processes is the model's.",
    "metadata: num_processes",
    divisions=CLOSED,
)
@of_metadata
def processes(leaf: Leaf, metadata: Document) -> Outcome:
    model, found = edition.CHECKPOINT_MODELS.get(leaf.model), metadata.number("num_processes")
    if model is None or found is None:
        return unknown("model or number of processes is not known")
    return violated_if(
        [f"{found:.0f} processes; {model.ranks} are demanded"] * (found != model.ranks),
        f"{model.ranks} processes",
    )


@RUN_RULES.rule(
    "4.6.2",
    "checkpointClosedAcceleratorsPerHost",
    "Each host has more than 4 accelerators.",
    "metadata: args.hosts, num_processes; summary: num_hosts",
    divisions=CLOSED,
)
@of_metadata
def per_host(leaf: Leaf, metadata: Document) -> Outcome:
    hosts, ranks = metadata.texts("args", "hosts"), metadata.number("num_processes")
    of_summary = None if isinstance(leaf.summary, Unreadable) else leaf.summary.number("num_hosts")
    number = len(hosts) or of_summary
    if not number or ranks is None:
        return unknown("hosts or processes are not recorded")
    slots = [
        int(word) for host in hosts if (word := host.rpartition(":")[2]).isdigit() and ":" in host
    ]
    least = min(slots) if slots and len(slots) == len(hosts) else ranks / number
    problems = [f"{least:g} on a host; more than 4 are demanded"] * (
        least <= edition.CHECKPOINT_RANKS_PER_HOST
    )
    return violated_if(problems, f"at least {least:g} on each host")


@RUN_RULES.rule(
    "4.6.3",
    "checkpointClosedCheckpointParameters",
    "Only the checkpoint folder is changed; 10 or 0 checkpoints are written and read.",
    "metadata: override_parameters, args",
    divisions=CLOSED,
)
@of_metadata
def closed_parameters(leaf: Leaf, metadata: Document) -> Outcome:
    # Parameters of the storage backend are the tool's for object storage.
    is_object = metadata.text("args", "data_access_protocol") == "object"
    names = [
        name for name, _ in metadata.items("override_parameters") if name.startswith("storage.")
    ]
    allowed = edition.CHECKPOINT_CLOSED_PARAMETERS | frozenset(names if is_object else ())
    changed = set_parameters(leaf, allowed)
    problems = list(changed.reasons) if changed.verdict == "violated" else []
    for name in ("num_checkpoints_write", "num_checkpoints_read"):
        found = metadata.number("args", name)
        if found not in {None, 0.0, float(edition.CHECKPOINTS)}:
            problems.append(f"{name} is {found:g}; 10 or 0 is demanded")
    return violated_if(problems, "only the checkpoint folder")


@RUN_RULES.rule(
    "4.6.4",
    "checkpointOpenSubmissionScaling",
    "The number of processes is a multiple of tensor x pipeline parallelism.",
    "metadata: num_processes",
    divisions=("open",),
)
@of_metadata
def open_scaling(leaf: Leaf, metadata: Document) -> Outcome:
    model, ranks = edition.CHECKPOINT_MODELS.get(leaf.model), metadata.count("num_processes")
    if model is None or ranks is None:
        return unknown("model or number of processes is not known")
    unit = model.tensor_parallel * model.pipeline_parallel
    return violated_if(
        [f"{ranks} is no multiple of {unit}"] * (ranks % unit != 0), f"a multiple of {unit}"
    )
