"""The unit of a metric, by the end of its name."""

from __future__ import annotations

_UNITS = (
    ("_rate_bytes", "ratio"),
    ("_s_per_gib", "s/GiB"),
    ("_tokens_per_s", "tokens/s"),
    ("_tokens_per_sec", "tokens/s"),
    ("_per_s", "1/s"),
    ("_per_second", "1/s"),
    ("_iops", "1/s"),
    ("_gib_s", "GiB/s"),
    ("_gbps", "GiB/s"),
    ("_gib", "GiB"),
    ("_gb", "GiB"),
    ("_bytes", "bytes"),
    ("_ns", "ns"),
    ("_us", "us"),
    ("_ms", "ms"),
    ("_s", "s"),
    ("_seconds", "s"),
    ("_pct", "%"),
    ("_percentage", "%"),
    ("_ratio", "ratio"),
    ("_rate", "ratio"),
    ("_share", "ratio"),
)
"""End of a name → unit; the first that fits. `_gb`, `_gbps` stand for GiB, as in the reference."""
_OF_SPREAD = ("_min", "_max", "_mean", "_stddev", "_median")
"""Ends that tell which of several values it is."""


def unit_of(metric: str) -> str:
    """Return a metric's unit; '' for a number of things, and where the name does not tell."""
    name = metric
    for end in _OF_SPREAD:
        name = name.removesuffix(end)
    whole = f"_{name}"
    return next((unit for end, unit in _UNITS if whole.endswith(end)), "")
