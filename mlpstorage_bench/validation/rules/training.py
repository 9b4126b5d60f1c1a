"""Rules 3.x: training."""

from __future__ import annotations

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.units import GIB
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_metadata,
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
from mlpstorage_bench.validation.tree import Workload

TYPES = ("training",)
RUN = ("run",)
_UNEQUAL_HOSTS = 1.5
WORKLOAD_RULES = Section(RULES.workload, types=TYPES)
RUN_RULES = Section(RULES.leaf, types=TYPES, commands=RUN)


def _newest(workload: Workload, command: str) -> Document | Outcome:
    """Return the metadata of the newest leaf of a command, or that there is none."""
    leaves = workload.of_command(command)
    if not leaves:
        return unknown(f"no {command} leaf")
    found = leaves[-1].metadata
    return unknown(f"{command}: {found.cause}") if isinstance(found, Unreadable) else found


@WORKLOAD_RULES.rule(
    "3.1.1",
    "trainingVerifyDatasizeUsage",
    "datasize was used.",
    "tree",
)
def datasize_used(workload: Workload) -> Outcome:
    found = workload.of_command("datasize")
    return violated_if([] if found else ["no datasize leaf"], f"{len(found)} datasize leaves")


@WORKLOAD_RULES.rule(
    "3.1.2",
    "trainingRecalculateDatasetSize",
    "The recorded size of the data set is the minimum for accelerators and host memory.",
    "metadata of datasize",
)
def dataset_size(workload: Workload) -> Outcome:
    metadata = _newest(workload, "datasize")
    if isinstance(metadata, Outcome):
        return metadata
    accelerator = (metadata.text("args", "accelerator_type") or "").lower()
    batch = edition.TRAINING_BATCH.get((workload.model, accelerator))
    record = edition.TRAINING_RECORD_BYTES.get(workload.model)
    ranks = metadata.number("args", "max_accelerators")
    hosts = metadata.number("args", "num_client_hosts") or 1
    memory = metadata.number("args", "client_host_memory_in_gb")
    recorded = metadata.number("parameters", "dataset", "num_files_train")
    if not (batch and record and ranks and memory) or recorded is None:
        return unknown("accelerators, memory, batch or number of files are not recorded")
    by_steps = edition.TRAINING_STEPS * batch * ranks
    by_memory = hosts * memory * edition.HOST_MEMORY_MULTIPLIER * GIB / record
    least = int(max(by_steps, by_memory))  # one sample per file in both models
    problems = [f"{recorded:.0f} files; {least} are the minimum"] * (abs(recorded - least) > 1)
    return violated_if(problems, f"{least} files")


def _files(workload: Workload, command: str) -> float | Outcome:
    metadata = _newest(workload, command)
    if isinstance(metadata, Outcome):
        return metadata
    found = metadata.number("parameters", "dataset", "num_files_train")
    return unknown(f"{command} records no num_files_train") if found is None else found


@WORKLOAD_RULES.rule(
    "3.2.1",
    "trainingDatagenMinimumSize",
    "At least as much data was generated as datasize demands.",
    "metadata of datagen and datasize",
)
def enough_generated(workload: Workload) -> Outcome:
    generated, sized = _files(workload, "datagen"), _files(workload, "datasize")
    if isinstance(generated, Outcome):
        return generated
    if isinstance(sized, Outcome):
        return sized
    problems = [f"{generated:.0f} files generated; {sized:.0f} are needed"] * (generated < sized)
    return violated_if(problems, f"{generated:.0f} files")


@WORKLOAD_RULES.rule(
    "3.3.1",
    "trainingRunDataMatchesDatasize",
    "Runs use exactly the data of datasize, in the same number of subdirectories.",
    "metadata of run and datasize",
)
def run_uses_datasize(workload: Workload) -> Outcome:
    sized = _newest(workload, "datasize")
    if isinstance(sized, Outcome):
        return sized
    problems, judged = [], 0
    for leaf in workload.of_command("run"):
        if isinstance(leaf.metadata, Unreadable):
            continue
        for name in ("num_files_train", "num_subfolders_train"):
            wanted = sized.number("parameters", "dataset", name)
            found = leaf.metadata.number("parameters", "dataset", name)
            if wanted is None or found is None:
                continue
            judged += 1
            if wanted != found:
                problems.append(
                    f"{leaf.timestamp}: {name} is {found:.0f}; datasize has {wanted:.0f}"
                )
    if not judged:
        return unknown("no run records its files")
    return violated_if(problems, "as datasize")


@WORKLOAD_RULES.rule(
    "3.3.2",
    "trainingAcceleratorUtilizationCheck",
    "The mean accelerator utilization is at least the model's minimum.",
    "summary",
)
def utilization(workload: Workload) -> Outcome:
    least = edition.MINIMUM_AU.get(workload.model)
    if least is None:
        return unknown(f"no minimum is defined for {workload.model}")
    runs = workload.of_command("run")
    measured = runs[1:] if len(runs) == edition.TRAINING_RUNS else runs
    problems, judged = [], 0
    for leaf in measured:
        if isinstance(leaf.summary, Unreadable):
            continue
        mean = leaf.summary.number("metric", "train_au_mean_percentage")
        if mean is None:
            continue
        judged += 1
        if mean < least:
            problems.append(f"{leaf.timestamp}: {mean:.2f} %; at least {least:g} % is demanded")
        if leaf.summary.text("metric", "train_au_meet_expectation") == "fail":
            problems.append(f"{leaf.timestamp}: the run's own verdict is fail")
    if not judged:
        return unknown("no summary has a utilization")
    return violated_if(problems, f"{judged} runs, each at least {least:g} %")


@RUN_RULES.rule(
    "3.3.3",
    "trainingSingleHostSimulatedAccelerators",
    "A single host has about 0.5 GB of memory for each accelerator.",
    "metadata: args",
)
@of_metadata
def memory_per_accelerator(_: Leaf, metadata: Document) -> Outcome:
    if metadata.number("args", "num_client_hosts") not in {None, 1.0}:
        return not_applicable("several hosts")
    memory = metadata.number("args", "client_host_memory_in_gb")
    ranks = metadata.number("args", "num_accelerators") or metadata.number("num_processes")
    if not memory or not ranks:
        return unknown("memory or number of accelerators is not recorded")
    problems = [f"{memory / ranks:.2f} GB for each accelerator"] * (memory / ranks < 0.5)  # noqa: PLR2004 - GB
    return warning_if(problems, f"{memory / ranks:.1f} GB for each accelerator")


@RUN_RULES.rule(
    "3.3.4",
    "trainingSingleHostClientLimit",
    "A submission of a single host uses one client.",
    "system description, summary",
)
def single_client(leaf: Leaf) -> Outcome:
    if isinstance(leaf.metadata, Unreadable):
        return unknown(leaf.metadata.cause)
    declared = leaf.metadata.number("args", "num_client_hosts")
    if isinstance(leaf.summary, Unreadable):
        return unknown(leaf.summary.cause)
    used = leaf.summary.number("num_hosts")
    if declared is None or used is None:
        return unknown("the number of hosts is not recorded")
    if declared != 1:
        return not_applicable("several hosts")
    return violated_if([f"{used:.0f} hosts took part"] * (used > 1), "one host")


@RUN_RULES.rule(
    "3.3.5",
    "trainingDistributedDataAccessibility",
    "All hosts reach all data.",
    "none",
)
def data_reachable(_: Leaf) -> Outcome:
    return unknown("no file records what each host reached")


@RUN_RULES.rule(
    "3.3.6",
    "trainingIdenticalAcceleratorsPerNode",
    "Each host has the same number of accelerators.",
    "metadata: args.hosts",
)
@of_metadata
def equal_accelerators(_: Leaf, metadata: Document) -> Outcome:
    hosts = metadata.texts("args", "hosts") or metadata.texts("hosts")
    ranks = metadata.count("args", "num_accelerators") or metadata.count("num_processes")
    if not hosts or ranks is None:
        return unknown("hosts or accelerators are not recorded")
    slots = {host.rpartition(":")[2] for host in hosts if ":" in host}
    if len(slots) > 1:
        return violated_if([f"slots per host: {', '.join(sorted(slots))}"], "")
    problems = [f"{ranks} accelerators on {len(hosts)} hosts"] * (ranks % len(hosts) != 0)
    return violated_if(problems, f"{ranks} on {len(hosts)} hosts")


@RUN_RULES.rule(
    "3.3.7",
    "trainingNodeCapabilityConsistency",
    "Hosts do not differ widely in cores and memory.",
    "metadata: system_info",
)
@of_metadata
def similar_hosts(_: Leaf, metadata: Document) -> Outcome:
    hosts = metadata.parts("system_info", "hosts")
    if not hosts:
        return unknown("no host is described")
    problems = []
    for name, keys in (("memory", ("memory", "total")), ("cores", ("cpu", "num_cores"))):
        values = [value for host in hosts if (value := host.number(*keys))]
        if values and max(values) > _UNEQUAL_HOSTS * min(values):
            problems.append(f"{name}: {min(values):g} to {max(values):g}")
    return warning_if(problems, f"{len(hosts)} hosts")


@RUN_RULES.rule(
    "3.3.8",
    "trainingResultDefinition",
    "Defines what is published; demands nothing of a submission.",
    "none",
)
def definition(_: Leaf) -> Outcome:
    return not_applicable("a definition without a demand")


@RUN_RULES.rule(
    "3.4.1",
    "trainingMlpstoragePathArgs",
    "Data and results directory are set and differ.",
    "metadata: args",
)
def paths(leaf: Leaf) -> Outcome:
    return path_arguments(leaf, "data_dir")


@RUN_RULES.rule(
    "3.4.2",
    "trainingMlpstorageFilesystemCheck",
    "Data and results lie on different filesystems.",
    "fs_separation.json",
)
def filesystems(leaf: Leaf) -> Outcome:
    return separate_filesystems(leaf)


@RUN_RULES.rule(
    "3.6.2",
    "trainingClosedSubmissionParameters",
    "Only the listed parameters are changed.",
    "metadata: override_parameters, args.params",
    divisions=("closed",),
)
def closed_parameters(leaf: Leaf) -> Outcome:
    return set_parameters(leaf, edition.TRAINING_CLOSED_PARAMETERS)


@RUN_RULES.rule(
    "3.6.3",
    "trainingOpenSubmissionParameters",
    "Only the parameters listed for open are changed.",
    "metadata: override_parameters, args.params",
    divisions=("open",),
)
def open_parameters(leaf: Leaf) -> Outcome:
    return set_parameters(leaf, edition.TRAINING_OPEN_PARAMETERS)
