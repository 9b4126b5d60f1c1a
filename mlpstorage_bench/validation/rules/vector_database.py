"""Rules 5.x: vector databases."""

from __future__ import annotations

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable, read_json
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_description,
    of_metadata,
    of_summary,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.rules.shared import separate_filesystems
from mlpstorage_bench.validation.tree import System, Workload

TYPES = ("vector_database",)
RUN = ("run",)
_NO_TARGET = "the rules name a minimum without a value"
RUN_RULES = Section(RULES.leaf, types=TYPES, commands=RUN)
WORKLOAD_RULES = Section(RULES.workload, types=TYPES)
SYSTEM_RULES = Section(RULES.system, types=TYPES)


@RUN_RULES.rule(
    "5.1.1",
    "vdbDatasetScale",
    "The number of vectors and their dimension are one of the defined scales.",
    "summary",
)
@of_summary
def scale(_: Leaf, summary: Document) -> Outcome:
    vectors, dimension = summary.count("num_vectors"), summary.count("dimension")
    if vectors is None or dimension is None:
        return unknown("the summary lacks num_vectors or dimension")
    problems = [f"{vectors} vectors of {dimension} are no defined scale"] * (
        edition.VECTOR_SCALES.get(vectors) != dimension
    )
    return violated_if(problems, f"{vectors} vectors of {dimension}")


def _loads(workload: Workload) -> list[Document]:
    return [
        leaf.summary
        for leaf in workload.of_command("datagen")
        if not isinstance(leaf.summary, Unreadable)
    ]


@WORKLOAD_RULES.rule(
    "5.1.2",
    "vdbDimensionConsistency",
    "Vectors have the same dimension when loaded and when queried.",
    "summaries of datagen and run",
)
def dimension(workload: Workload) -> Outcome:
    loaded = {load.count("dimension") for load in _loads(workload)} - {None}
    if not loaded:
        return unknown("no summary of datagen has a dimension")
    problems = [
        f"{leaf.timestamp}: {leaf.summary.count('dimension')}; loaded: {sorted(loaded, key=str)}"
        for leaf in workload.of_command("run")
        if not isinstance(leaf.summary, Unreadable)
        and leaf.summary.count("dimension") not in loaded
    ]
    return violated_if(problems, f"{sorted(loaded, key=str)}")


@WORKLOAD_RULES.rule(
    "5.2.1",
    "vdbCollectionPopulated",
    "As many vectors were inserted as declared.",
    "summary of datagen, else of run",
)
def populated(workload: Workload) -> Outcome:
    runs = [
        leaf.summary
        for leaf in workload.of_command("run")
        if not isinstance(leaf.summary, Unreadable)
    ]
    problems, judged = [], 0
    for summary in _loads(workload) or runs:
        declared, inserted = summary.count("num_vectors"), summary.count("inserted_vectors")
        if declared is None or inserted is None:
            continue
        judged += 1
        problems += [f"{inserted} of {declared} vectors were inserted"] * (inserted != declared)
    if not judged:
        return unknown("no summary has num_vectors and inserted_vectors")
    return violated_if(problems, "all vectors")


@WORKLOAD_RULES.rule(
    "5.2.2",
    "vdbIndexBuildCompleted",
    "The index was built, of the type that is queried.",
    "summary of datagen",
)
def index_built(workload: Workload) -> Outcome:
    found = {name for load in _loads(workload) if (name := load.text("index_type"))}
    if not found:
        return unknown("no summary of datagen names its index")
    problems = [
        f"{name} was built; {workload.index} is queried" for name in found - {workload.index}
    ]
    return violated_if(problems, workload.index)


@WORKLOAD_RULES.rule(
    "5.3.1",
    "vdbRunCount",
    "There are exactly 5 runs, each with a summary.",
    "tree",
)
def run_count(workload: Workload) -> Outcome:
    runs = workload.of_command("run")
    wanted = edition.VECTOR_RUNS
    problems = [f"{len(runs)} runs; {wanted} are demanded"] * (len(runs) != wanted)
    problems += [
        f"{leaf.timestamp}: no summary.json" for leaf in runs if "summary.json" not in leaf.names
    ]
    return violated_if(problems, "five runs")


@RUN_RULES.rule(
    "5.3.2",
    "vdbRecallReported",
    "Recall is reported and reaches its target.",
    "summary",
)
@of_summary
def recall(_: Leaf, summary: Document) -> Outcome:
    found = summary.number("recall")
    if found is None:
        return violated_if(["no recall is reported"], "")
    return unknown(f"recall is {found:g}; {_NO_TARGET}")


@RUN_RULES.rule(
    "5.3.3",
    "vdbQueryCountMinimum",
    "At least the minimum number of queries was issued.",
    "summary",
)
@of_summary
def queries(_: Leaf, summary: Document) -> Outcome:
    found = summary.count("query_count")
    if found is None:
        return unknown("no number of queries is reported")
    return unknown(f"{found} queries; {_NO_TARGET}")


@RUN_RULES.rule(
    "5.3.4",
    "vdbMetricsReported",
    "Queries per second and the latency percentiles are reported.",
    "summary",
)
@of_summary
def metrics(_: Leaf, summary: Document) -> Outcome:
    problems = [f"no {name}" for name in edition.VECTOR_METRICS if summary.number(name) is None]
    return violated_if(problems, "all are there")


@RUN_RULES.rule(
    "5.3.5",
    "vdbGroundTruthIntegrity",
    "Recall was measured against the exact result over all vectors.",
    "vectordb/*/result_verdict.json",
)
def ground_truth(leaf: Leaf) -> Outcome:
    verdicts = sorted((leaf.path / "vectordb").glob("*/result_verdict.json"))
    if not verdicts:
        return unknown("no result_verdict.json")
    problems = []
    for path in verdicts:
        found = read_json(path)
        if isinstance(found, Unreadable):
            problems.append(found.cause)
        elif found.flag("valid") is False:
            problems.append(f"{path.parent.name}: the run's own verdict is invalid")
    return violated_if(problems, f"{len(verdicts)} verdicts")


@RUN_RULES.rule(
    "5.4.1",
    "vdbPathArgs",
    "Database and results directory are set and differ.",
    "metadata: args",
)
@of_metadata
def paths(_: Leaf, metadata: Document) -> Outcome:
    if metadata.text("args", "data_access_protocol") == "object":
        return not_applicable("object storage has no path")
    root = metadata.text("args", "storage_root") or metadata.text(
        "vectordb_config", "storage", "storage_root"
    )
    results = metadata.text("args", "results_dir")
    problems = [
        f"{name} is not set"
        for name, value in (("storage_root", root), ("results_dir", results))
        if not value
    ]
    if root and root == results:
        problems.append(f"both are {root}")
    return violated_if(problems, "both are set and differ")


@RUN_RULES.rule(
    "5.4.2",
    "vdbFilesystemCheck",
    "Database and results lie on different filesystems.",
    "fs_separation.json",
)
def filesystems(leaf: Leaf) -> Outcome:
    return separate_filesystems(leaf)


@SYSTEM_RULES.rule(
    "5.5.1",
    "vdbObjectStorageBackend",
    "For object storage, the backend is described.",
    "system description",
)
@of_description
def object_backend(_: System, description: Document) -> Outcome:
    api = description.text("system_under_test", "solution", "architecture", "benchmark_API")
    if api is None:
        return unknown("the description has no benchmark_API")
    if api == "file":
        return not_applicable("files")
    product = description.text("system_under_test", "solution", "architecture", "product_API")
    return violated_if(
        [f"benchmark_API is object, product_API {product}"] * (product != "object"), "object"
    )


def _backend(leaf: Leaf) -> str | None:
    for document in (leaf.summary, leaf.metadata):
        if isinstance(document, Unreadable):
            continue
        for keys in (("database", "database"), ("database",), ("vdb_engine",)):
            found = document.text(*keys)
            if found:
                return found.lower()
    return None


@RUN_RULES.rule(
    "5.6.2",
    "vdbClosedDatabaseBackend",
    "The database is Milvus.",
    "summary, metadata",
    divisions=("closed",),
)
def closed_backend(leaf: Leaf) -> Outcome:
    found = _backend(leaf)
    if found is None:
        return unknown("no backend is recorded")
    wanted = edition.VECTOR_CLOSED_BACKEND
    return violated_if([f"the database is {found}"] * (found != wanted), found)


@RUN_RULES.rule(
    "5.6.3",
    "vdbClosedIndexTypes",
    "The index is DISKANN, HNSW or AISAQ.",
    "tree, summary",
    divisions=("closed",),
)
def closed_index(leaf: Leaf) -> Outcome:
    recorded = None if isinstance(leaf.summary, Unreadable) else leaf.summary.text("index_type")
    problems = [
        f"the index is {name}"
        for name in {leaf.index, recorded or leaf.index}
        if name not in edition.VECTOR_CLOSED_INDEXES
    ]
    return violated_if(problems, leaf.index)


@RUN_RULES.rule(
    "5.6.4",
    "vdbClosedSubmissionParameters",
    "Only the listed parameters are changed.",
    "metadata: override_parameters",
    divisions=("closed",),
)
def closed_parameters(leaf: Leaf) -> Outcome:
    return _changed(leaf, edition.VECTOR_CLOSED_PARAMETERS)


@RUN_RULES.rule(
    "5.6.5",
    "vdbOpenSubmissionParameters",
    "The backend is a supported one, and only listed parameters are changed.",
    "summary, metadata",
    divisions=("open",),
)
def open_backend(leaf: Leaf) -> Outcome:
    found = _backend(leaf)
    if found is None:
        return unknown("no backend is recorded")
    problems = [f"the database is {found}"] * (found not in edition.VECTOR_OPEN_BACKENDS)
    return violated_if(problems, found)


def _changed(leaf: Leaf, allowed: frozenset[str]) -> Outcome:
    metadata = leaf.metadata
    if isinstance(metadata, Unreadable):
        return unknown(metadata.cause)
    names = {name for name, _ in metadata.items("override_parameters")}
    if not names:
        return unknown("metadata records no changed parameter; arguments have no defaults there")
    foreign = sorted(names - allowed)
    return violated_if([f"{name} was changed" for name in foreign], "only what the rules list")
