"""The figures that are compared, and how each program defines them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.compare.subject import Figure
from mlpstorage_bench.metric.declaration import Description

_RATE = "rate"
"""Kind of figures that are bytes, tokens or requests in a time."""
_SHOWN = {
    "read_gib_s": ("read GiB/s", 2, _RATE),
    "write_gib_s": ("write GiB/s", 2, _RATE),
    "tokens_per_s": ("tokens/s", 1, _RATE),
    "storage_tokens_per_s": ("storage tokens/s", 1, _RATE),
    "requests_per_s": ("req/s", 1, _RATE),
    "read_p95_ms": ("read p95 ms", 1, "p95"),
    "write_p95_ms": ("write p95 ms", 1, "p95"),
    "read_host_p95_ms": ("read p95 ms with host", 1, "p95 of ranks"),
    "request_io_p95_ms": ("request I/O p95 ms", 1, "p95 of ranks"),
}
"""Name → label, decimals, kind of definition."""
_OURS = {"generated_tokens_per_s": "tokens_per_s"}
"""Our metric → the name of the figure in this comparison."""
OURS, REFERENCE = "window", "window and requests after it"
DEFINITIONS = {
    OURS: "what ended inside the window; p95 of all samples",
    REFERENCE: "also requests that end later, divided by the window; p95 greatest of ranks",
}


def figures_of(values: Mapping[str, object], definition: str) -> Iterator[Figure]:
    """Yield the figures among the metrics of a case, in the order of the table."""
    renamed = {_OURS.get(name, name): value for name, value in values.items()}
    for place, (name, (label, decimals, kind)) in enumerate(_SHOWN.items()):
        value = renamed.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Figure(name, label, place, decimals, f"{kind}, {definition}", float(value))


def other_figures(
    values: Mapping[str, float], described: Mapping[str, Description]
) -> Iterator[Figure]:
    """Yield the figures of a run of another benchmark type."""
    for place, (name, value) in enumerate(values.items()):
        one = described.get(name)
        label = name if one is None else _label(one)
        decimals = 2 if one is None else max(one.unit.decimals, 1)
        yield Figure(name, label, place, decimals, name, value)


def _label(one: Description) -> str:
    """Return a title with its unit, which many titles have."""
    unit = one.unit.name
    return one.title if not unit or one.title.endswith(unit) else f"{one.title}, {unit}"
