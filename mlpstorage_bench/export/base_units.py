"""Units and names of metrics as Prometheus has them: base units, as the end of the name.

`read_p95_ms` becomes `mlpstorage_read_p95_seconds`: abbreviated units are removed from the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.units import GIB, MIB, Unit

PREFIX = "mlpstorage_"
_OF_THE_RUN = ("run_", "objective_")
"""Beginnings of the names of what is known of a run and its objectives."""
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]+")


@dataclass(frozen=True)
class BaseUnit:
    """The base unit of a unit."""

    name: str
    """As it ends a metric's name; '' for a number of things."""
    factor: float = 1.0
    """Number of base units in one unit."""
    words: str = ""
    """How names of metrics abbreviate the unit."""


_BASE_UNITS: Mapping[str, BaseUnit] = {
    "GiB/s": BaseUnit("bytes_per_second", GIB, "gib_s"),
    "MiB/s": BaseUnit("bytes_per_second", MIB, "mib_s"),
    "1/s": BaseUnit("per_second", 1, "per_s"),
    "tokens/s": BaseUnit("per_second", 1, "per_s"),
    "samples/s": BaseUnit("per_second", 1, "per_s"),
    "bytes": BaseUnit("bytes", 1, "bytes"),
    "GiB": BaseUnit("bytes", GIB, "gib"),
    "s": BaseUnit("seconds", 1, "s"),
    "ms": BaseUnit("seconds", 1e-3, "ms"),
    "s/GiB": BaseUnit("seconds_per_byte", 1 / GIB, "s_per_gib"),
    "%": BaseUnit("ratio", 1e-2, "pct"),
    "share": BaseUnit("ratio", 1, "share"),
    "ratio": BaseUnit("ratio", 1, "ratio"),
}


def base_unit(unit: Unit) -> BaseUnit:
    """Return the base unit of a unit; of a count, or a unit that is not known, none."""
    return _BASE_UNITS.get(unit.name) or BaseUnit("")


def exposed_name(metric: Description) -> str:
    """Return the name of a metric in Prometheus: letters, digits and `_`, with its base unit.

    Facts of the run have names of their own, which no metric of a user can take.
    """
    unit = base_unit(metric.unit)
    name = f"_{_NO_NAME.sub('_', metric.name).strip('_')}_"
    for words in (unit.words, unit.name):
        if words:
            name = name.replace(f"_{words}_", "_")
    text = "_".join(filter(None, (name.strip("_"), unit.name)))
    return f"{PREFIX}recorded_{text}" if text.startswith(_OF_THE_RUN) else f"{PREFIX}{text}"
