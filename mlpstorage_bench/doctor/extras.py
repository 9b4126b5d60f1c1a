"""Check of optional packages."""

from __future__ import annotations

import importlib.util

from mlpstorage_bench.doctor.finding import Finding

_EXTRAS = {
    "report": (("jinja2",), "reports in HTML"),
    "training": (("PIL", "pyarrow"), "trainings with files in jpeg and parquet"),
    "traces": (("zstandard",), "traces compressed by zstd"),
    "export": (("prometheus_client",), "figures in the formats of Prometheus"),
    "completion": (("argcomplete",), "completion of options in a shell"),
}
"""Name of an extra → its modules, and its use."""


def check_extras() -> Finding:
    """Return the extras that are installed, and the use of each that is not."""
    there = [
        name
        for name, (modules, _) in _EXTRAS.items()
        if all(importlib.util.find_spec(module) for module in modules)
    ]
    lacking = [name for name in _EXTRAS if name not in there]
    seen = f"installed: {', '.join(there) or 'none'}"
    if not lacking:
        return Finding("extras", "ok", seen)
    uses = ", ".join(f"{name} ({_EXTRAS[name][1]})" for name in lacking)
    advice = f"If you need one: pip install 'mlpstorage-bench[{','.join(lacking)}]'"
    return Finding("extras", "ok", f"{seen}; not installed: {uses}", advice)
