"""Units of bytes, time and metrics, with the format in which people see values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlpstorage_bench.escaping import shortened

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
_MINUTE_S = 60

Kind = Literal["number", "share", "text", "record"]


@dataclass(frozen=True)
class Unit:
    """Unit of a metric: its name in results, and how a value is shown and typed."""

    name: str
    """As results have it; '' for a number of things."""
    decimals: int = 0
    kind: Kind = "number"
    accepted: Mapping[str, float] = field(default_factory=dict)
    """Other units in which a value may be typed → factor to this one."""

    @property
    def is_number(self) -> bool:
        """Whether values are single numbers, which can be compared and drawn."""
        return self.kind in ("number", "share")

    def text(self, value: object, more_decimals: int = 0) -> str:
        """Return a value as people see it; '-' for None.

        `more_decimals` are added where the unit has any. A value that would be shown as 0, and is
        not 0, has two significant digits instead.
        """
        if value is None:
            return "-"
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.is_number:
            return str(value)
        is_share = self.kind == "share"
        try:
            shown = float(100 * value if is_share else value)
        except OverflowError:  # a whole number of a file, beyond those of floating point
            return shortened(str(value))
        decimals = self.decimals + (more_decimals if self.decimals or is_share else 0)
        return f"{decimal_text(shown, decimals)}{'%' if is_share else ''}"


def decimal_text(value: float, decimals: int) -> str:
    """Return a number with decimals, or with two significant digits if it would be shown as 0."""
    is_tiny = 0 < abs(value) < 10**-decimals
    return f"{value:.2g}" if is_tiny else f"{value:.{decimals}f}"


GIB_PER_S = Unit("GiB/s", 2, accepted={"MiB/s": 1 / 1024, "GB/s": 1e9 / GIB, "MB/s": 1e6 / GIB})
MIB_PER_S = Unit("MiB/s", 2, accepted={"GiB/s": 1024, "GB/s": 1e9 / MIB, "MB/s": 1e6 / MIB})
PER_S = Unit("1/s", 1)
TOKENS_PER_S = Unit("tokens/s", 1)
SAMPLES_PER_S = Unit("samples/s", 1)
BYTES = Unit("bytes", accepted={"MiB": MIB, "GiB": GIB})
GIBIBYTES = Unit("GiB", 2, accepted={"MiB": 1 / 1024})
SECONDS = Unit("s", 2, accepted={"ms": 1e-3})
MILLISECONDS = Unit("ms", 1, accepted={"us": 1e-3, "µs": 1e-3, "s": 1e3})
S_PER_GIB = Unit("s/GiB", 2)
PERCENT = Unit("%", 1)
SHARE = Unit("share", 0, "share", {"%": 0.01})
"""Part of a whole, 0 to 1; shown in percent."""
RATIO = Unit("ratio", 3, accepted={"%": 0.01})
COUNT = Unit("")
TEXT = Unit("text", kind="text")
TRUTH = Unit("true or false", kind="text")
RECORD = Unit("record", kind="record")
"""Values of several fields, only in JSON."""

_UNITS = (
    *(GIB_PER_S, MIB_PER_S, PER_S, TOKENS_PER_S, SAMPLES_PER_S, BYTES, GIBIBYTES, SECONDS),
    *(MILLISECONDS, S_PER_GIB, PERCENT, SHARE, RATIO, COUNT, TEXT, TRUTH, RECORD),
)
_BY_NAME = {unit.name: unit for unit in _UNITS}
_DECIMALS_OF_OTHERS = 2


def unit_named(name: str) -> Unit:
    """Return the unit of this name; one that is not known shows plain numbers."""
    return _BY_NAME.get(name) or Unit(name, _DECIMALS_OF_OTHERS)


def gib(size: int) -> str:
    """Return a number of bytes in GiB, with two decimals, or two digits where it is smaller."""
    return GIBIBYTES.text(size / GIB)


def size_text(size: float) -> str:
    """Return a number of bytes in the largest unit that it reaches, with three digits."""
    value, names = size, ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(value) >= KIB and len(names) > 1:
        value, names = value / KIB, names[1:]
    decimals = 0 if names[0] == "B" or abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 - three digits
    return f"{value:.{decimals}f} {names[0]}"


def counted(count: int, what: str) -> str:
    """Return a number of things with their noun: `1 trial`, `2 trials`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in minutes, or in seconds below one minute."""
    return f"{seconds / 60:.3g} min" if seconds >= _MINUTE_S else f"{seconds:.3g} s"
