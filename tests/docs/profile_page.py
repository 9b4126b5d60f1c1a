"""The tables of docs/profile.md; `python -m tests.docs.profile_page --update` writes them again.

Type, unit, default and limits come from the JSON schema of the models, meanings from the
docstrings of their attributes.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from mlpstorage_bench.kvcache.config.models import MODELS, LatentAttentionModel, Model
from mlpstorage_bench.kvcache.config.profile_file import Profile
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload
from tests.docs.made_part import MadePart, table

Property = Mapping[str, Any]
"""Description of one key in a JSON schema."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Model": ("model", "kv_dtype", "tensor_parallel", "entry_scale", "title"),
    "Users and their requests": (
        *("num_users", "users_total", "max_concurrent_allocs", "think_time_scale"),
        *("generation_mode", "phase", "decode_reads"),
    ),
    "Objectives": ("slos", "block_mib"),
    "Arrivals at a rate": ("arrivals", "rate", "rate_end", "burstiness"),
    "Shared prefixes and documents": (
        *("keyed_by", "context_limit"),
        *("system_prompt_share", "system_prompts", "system_prompt_tokens"),
        *("rag_share", "rag_documents", "rag_document_tokens", "rag_chunk_tokens"),
        *("rag_top_k", "rag_retrieval"),
    ),
    "Traces": ("trace_in", "trace_speed", "trace_out"),
    "Length of a trial": (
        *("duration", "requests", "stop_after_gb", "write_limit_gb"),
        *("warmup", "warmup_until", "steady_window", "steady_slope_pct"),
        *("steady_deviation_pct", "precondition", "precondition_gb", "calibration"),
    ),
    "Tiers of the cache": (
        *("gpu_mem_gb", "cpu_mem_gb", "storage_capacity_gb", "eviction", "promotion"),
    ),
    "Storage": (
        *("storage", "layout", "tokens_per_block", "io_mode", "durability", "io_chunk_kib"),
        "chunks_in_flight",
        "io_threads",
        "io_queue",
    ),
    "Content": ("verify_rate", "read_back_gb", "compress_ratio", "dedup_ratio"),
}
"""Title of a group → its keys of a workload."""
NOT_WRITTEN = frozenset({"geometry"})
"""Fields of a workload that no profile has: they come from its models."""
_FURTHER_NAMES = {own: name for name, own in SYNONYMS.items()}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
}
_HEADER = ("key", "type", "unit", "default", "accepted", "meaning")


def workload_keys() -> str:
    """Return a section with a table for each group of a workload's keys."""
    rows = dict(rows_of(Workload))
    return "\n".join(
        f"### {title}\n\n{table(_HEADER, [rows[key] for key in keys])}"
        for title, keys in GROUPS.items()
    )


def profile_keys() -> str:
    """Return the table of the keys of a whole profile."""
    return table(_HEADER, [row for _, row in rows_of(Profile)])


def geometry_keys() -> str:
    """Return the table of the keys of each kind of model; a model has one of the two pairs."""
    kinds = dict(rows_of(Model)), dict(rows_of(LatentAttentionModel))
    rows = kinds[0] | kinds[1]
    for key in kinds[0].keys() ^ kinds[1].keys():
        rows[key] = tuple("one pair is required" if one == "required" else one for one in rows[key])
    return table(_HEADER, [*rows.values()])


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return attribute → docstring, of a model and its bases."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if one is not BaseModel and issubclass(one, BaseModel):
            found |= _docstrings(one)
    return found


def _docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str())):
                yield name, " ".join(inspect.cleandoc(ast.literal_eval(text.value)).split())


def rows_of(model: type[BaseModel]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each key of a model with its row of a table."""
    schema = model.model_json_schema()
    required = frozenset(schema.get("required", ()))
    meaning = meanings(model)
    for key, property_ in schema["properties"].items():
        if key in NOT_WRITTEN:
            continue
        name = f"`{key}`"
        if key in _FURTHER_NAMES:
            name += f" (or `{_FURTHER_NAMES[key]}`)"
        values = _values(property_)
        yield (
            key,
            (
                name,
                " or ".join(map(_type, values)),
                values[0].get("unit", property_.get("unit", "")),
                "required" if key in required else _default(property_),
                _names_of_models()
                if (model, key) == (Workload, "model")
                else ", or ".join(filter(None, map(_accepted, values))),
                meaning[key].replace("None:", "none:"),
            ),
        )


def _values(property_: Property) -> Sequence[Property]:
    """Return what the schema says of each kind of value, except null."""
    others = [one for one in property_.get("anyOf", ()) if one.get("type") != "null"]
    return others or [property_]


def _words(value: Property) -> Sequence[str]:
    """Return the only texts that are accepted; pydantic gives one alone as a constant."""
    words: Sequence[str] = value.get("enum", [value["const"]] if "const" in value else [])
    return words


def _type(value: Property) -> str:
    if _words(value):
        return "word"
    if value["type"] == "array":
        return "list"
    return _TYPES.get(value["type"], "mapping")


def _default(property_: Property) -> str:
    default = property_.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f"`{default}`" if default else "empty"
    if default is not None:
        return _number(default)
    return "empty" if property_.get("type") == "object" else "none"


def _names_of_models() -> str:
    return ", ".join(f"`{name}`" for name in MODELS) + ", or a name under `models`"


def _accepted(value: Property) -> str:
    if words := _words(value):
        return ", ".join(f"`{word}`" for word in words)
    if value["type"] == "array":
        return f"{value['minItems']} whole numbers"
    if value["type"] not in {"integer", "number"}:
        return ""
    least = f"above {_number(value['exclusiveMinimum'])}" if "exclusiveMinimum" in value else None
    most = "below 2^63" if value.get("exclusiveMaximum") == 1 << 63 else None
    text = f"{least or _number(value['minimum'])} to {most or _number(value['maximum'])}"
    step = value.get("multipleOf")
    return text if step is None else f"{text}, a multiple of {step}"


def _number(value: float) -> str:
    """Return a number as it may be written in a profile; of great powers of two, the power."""
    whole = int(value)
    if whole != value:
        return f"{value:g}".replace("e-0", "e-")
    is_power = whole > 10**6 and whole.bit_count() == 1
    return f"2^{whole.bit_length() - 1}" if is_power else str(whole)


MODULE = "tests.docs.profile_page"
PARTS = (
    MadePart("docs/profile.md", "profile", MODULE, profile_keys),
    MadePart("docs/profile.md", "workload", MODULE, workload_keys),
    MadePart("docs/profile.md", "models", MODULE, geometry_keys),
)

if __name__ == "__main__":
    for part in PARTS:
        part.main()
