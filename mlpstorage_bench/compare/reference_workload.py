"""Facts of the workload of a run of the reference, as its commands and metadata have them.

Pure: values that were read come in, facts without secrets go out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mlpstorage_bench.compare.subject import NOT_RECORDED
from mlpstorage_bench.compare.workload_facts import WorkloadFacts, workload_facts
from mlpstorage_bench.leaves.document import Document, finite_number
from mlpstorage_bench.leaves.invocation import Invocation
from mlpstorage_bench.redaction.text import redact_json

_PLACES = frozenset(
    {
        *("--rank-output-base", "--rank-cache-base", "--cache-dir", "--config"),
        *("data_folder", "checkpoint_folder", "storage_root"),
    }
)
"""Options of ranks, and keys of parameters, that name a directory: they are no part of the load."""
_ARGUMENTS = (
    *("accelerator_type", "data_access_protocol", "vdb_engine", "vdb_index", "benchmark_mode"),
    *("runtime", "queries", "num_query_processes", "batch_size", "num_query_vectors"),
    *("vector_dim", "search_limit", "search_ef", "recall_k", "seed"),
)
"""Arguments of the command that shape the load, where they are no parameters."""
_SHORT: tuple[tuple[tuple[str, ...], str], ...] = (
    (("accelerator_type",), "{}"),
    (("dataset", "num_files_train"), "{} files"),
    (("reader", "batch_size"), "batches of {}"),
    (("reader", "read_threads"), "{} readers"),
    (("train", "epochs"), "{} epochs"),
    (("checkpoint", "num_checkpoints_write"), "{} writes"),
    (("checkpoint", "num_checkpoints_read"), "{} reads"),
    (("vdb_index",), "{}"),
    (("num_query_processes",), "{} query processes"),
    (("search_ef",), "ef {}"),
)
"""Parameters in the short line of a workload; differences are found in all of them."""
_TRUTH = {"true": True, "false": False}


def facts_of_command(command: Invocation) -> WorkloadFacts:
    """Return the options with which a command started ranks; those not given are at defaults."""
    options = redact_json(dict(_options(command.program_words)))
    return workload_facts({"parameters": options}, options)


def facts_of_run(content: Document) -> WorkloadFacts | None:
    """Return the parameters in the metadata of a run without commands of cases; None without."""
    parameters = _parameters_of(content)
    if not parameters:
        return None
    return replace(workload_facts({"parameters": parameters}, parameters), of_missing=NOT_RECORDED)


def in_short(content: Document) -> str:
    """Return the parameters of such a run in a few words."""
    parameters = Document(_parameters_of(content), content.path)
    found = []
    for keys, form in _SHORT:
        number, text = parameters.number(*keys), parameters.text(*keys)
        if number is not None:
            found.append(form.format(f"{number:.10g}"))
        elif text is not None:
            found.append(form.format(text))
    return ", ".join(found) or NOT_RECORDED


def _parameters_of(content: Document) -> dict[str, object]:
    parameters = _without_places(content.part("parameters").value)
    given = {name: _plain(content.part("args", name).value) for name in _ARGUMENTS}
    known = {name: one for name, one in given.items() if one is not None}
    return redact_json({**parameters, **known})


def _without_places(value: object) -> dict[str, object]:
    """Return a mapping without directories, and its values in one form."""
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name): _without_places(one) if isinstance(one, Mapping) else _plain(one)
        for name, one in value.items()
        if name not in _PLACES
    }


def _plain(value: object) -> object:
    """Return a value without its form: numbers and truth values may be texts, and 1 may be 1.0."""
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    number = finite_number(value)
    if number is None:
        return value
    return int(number) if number.is_integer() else number


def _options(words: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield options of a rank with their values; those that have none are true."""
    for at, word in enumerate(words):
        name, is_assigned, value = word.partition("=")
        if not word.startswith("--") or name in _PLACES:
            continue
        following = words[at + 1] if at + 1 < len(words) else "--"
        if is_assigned:
            yield name, _plain(value)
        else:
            yield name, True if following.startswith("--") else _plain(following)
