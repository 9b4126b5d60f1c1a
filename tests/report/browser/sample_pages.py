"""Reports whose every name is hostile or long, as files for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mlpstorage_bench.benchmark_type.figures import (
    CaseFigures,
    Distribution,
    Level,
    RankBandwidth,
    Share,
    ShareGroup,
)
from mlpstorage_bench.compare.find import find_subject
from mlpstorage_bench.compare.subject import Comparison
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.report.compare_page import build_comparison_report
from mlpstorage_bench.report.history_report import build_history_report
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.report.render import write_report
from mlpstorage_bench.report.run_report import RunFigures, build_report
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.run_metadata import metadata_of
from tests.past_runs import leave_run, run

HOSTILE = "<script>document.title='evil'</script><img src=x onerror=\"alert(1)\">'"
LONG = "x" * 200
DESCRIBED = {
    "read_gib_s": {
        "unit": "GiB/s",
        "title": f"read {HOSTILE} GiB/s",
        "better": "higher",
        "shown": "lists",
        "has_spread": True,
    },
    "read_p95_ms": {"unit": "ms", "title": "read p95 ms", "better": "lower", "shown": "lists"},
    "limited_by": {"unit": "text", "title": "limited by", "shown": "headline"},
}


_SERIES = TypeAdapter(TimeSeries)


def write_pages(folder: Path) -> dict[str, Path]:
    """Write a report of each kind, and return the files by kind."""
    pages = {
        "run": _run_page(),
        "run without figures": build_report(metadata_of(run(1))),
        "history": _history_page(folder / "results"),
        "comparison": _comparison_page(folder / "results"),
        "validation": _document(),
    }
    return {
        kind: write_report(folder / f"{number}.html", page)
        for number, (kind, page) in enumerate(pages.items())
    }


def _own(read_gib_s: float) -> dict[str, Any]:
    names = {"1": f"1{HOSTILE}", "2": f"2{LONG}"}
    values = {
        "trials": 2,
        "read_gib_s": read_gib_s,
        "read_gib_s_min": 0.9 * read_gib_s,
        "read_gib_s_max": 1.1 * read_gib_s,
        "read_p95_ms": 1234.5,
        "limited_by": HOSTILE,
    }
    return {
        "schema_version": 3,
        "status": "failed",
        "tests_passed": True,
        "system_fingerprint": "5" * 32,
        "notes": [HOSTILE, LONG],
        "tests": [{"test": LONG, "outcome": "failed", "message": f"{HOSTILE}{LONG}"}],
        "tags": [HOSTILE],
        "conclusions": [HOSTILE, LONG],
        "metric_descriptions": DESCRIBED,
        "metrics": dict.fromkeys(names.values(), values),
        "verdicts": [
            {"case": names["1"], "metric": "read_gib_s", "verdict": "regressed", "reason": LONG}
        ],
        "gate": {"verdict": "regressed"},
        "cases": {
            name: {
                "workload_fingerprint": number * 32,
                "workload_fingerprint_parts": {
                    "parameters": {"model": HOSTILE, f"only_{number}": LONG}
                },
                "trials": [
                    {
                        "trial": trial,
                        "metrics": {"read_gib_s": read_gib_s * (1 + trial / 50)},
                        "time_series": _series(trial),
                        "conditions": {
                            "moved_gib_s": 1.0,
                            "limit": "storage",
                            "stragglers": [f"rank 1 on {LONG} is slow"],
                        },
                    }
                    for trial in (1, 2, 3)
                ],
            }
            for number, name in names.items()
        },
    }


def _series(trial: int) -> Mapping[str, Any]:
    def phase(name: str, begins_s: float, count: int) -> dict[str, Any]:
        return {
            "phase": name,
            "begins_s": begins_s,
            "ends_s": begins_s + count,
            "slot_s": 1.0,
            **{
                key: [(trial + n % 3) << 29 for n in range(count)]
                for key in ("read_bytes", "write_bytes")
            },
            **{key: [9] * count for key in ("reads", "writes", "read_chunks", "write_chunks")},
            **{
                f"{key}_p95_ms": [1000.0 + n for n in range(count)]
                for key in ("read", "write", "read_chunk", "write_chunk")
            },
        }

    phases = [phase("warm-up", -5.0, 5), phase("window", 0.0, 300)]
    return {"clock_uncertainty_s": 0.0, "phases": phases}


def _run_page() -> Page:
    content = run(1, own=_own(1.79))
    content["system_info"] = {
        "hosts": [
            {
                "hostname": f"{HOSTILE}{LONG}",
                "cache_filesystem": {"path": f"/{LONG}", "fstype": HOSTILE, "device": "/dev/x"},
            }
        ]
    }
    content["override_parameters"] = {HOSTILE: LONG}
    points = tuple((float(percent), 0.01 * 10 ** (percent / 20)) for percent in range(1, 100))
    distributions = tuple(
        Distribution(f"{kind}, {LONG}", kind, is_of_parts, 123_456, (*points, (100.0, 2000.0)))
        for kind in ("read", "write")
        for is_of_parts in (False, True)
    )
    shares = (
        ShareGroup("One", HOSTILE, "s", (Share(LONG, (("a", 1.0), (LONG, 2.0), ("c", 0.0))),)),
        ShareGroup("Many", LONG, "bytes", tuple(Share(f"w{n}", (("a", 1.0),)) for n in range(4))),
    )
    ranks = tuple(
        RankBandwidth(
            rank,
            f"h{rank % 3}{HOSTILE}",
            1.0 + rank,
            0.0,
            ((1, _SERIES.validate_python(_series(1))),),
        )
        for rank in range(40)
    )
    figures = {
        name: CaseFigures(
            name,
            title=LONG,
            parameters={HOSTILE: LONG},
            io_modes=("direct",),
            samples={"read_p95_ms": 123_456},
            distributions=distributions,
            shares=shares,
            levels=(Level(LONG, 0.999, "ok"), Level("ceiling", 3.2, HOSTILE)),
            ranks=ranks,
        )
        for name in content["mlpstorage"]["cases"]
    }
    return build_report(metadata_of(content), RunFigures(figures))


def _history_page(results: Path) -> Page:
    for number in range(30):
        leave_run(results, number, own=_own((1.7 if number < 15 else 1.4) + number / 1000))
    with History(results) as history:
        return build_history_report(history, history.runs())


def _comparison_page(results: Path) -> Page:
    with History(results) as history:
        ids = [run.run_id for run in history.runs()[-8:]]
        return build_comparison_report(Comparison([find_subject(one, history) for one in ids]))


def _document() -> Page:
    rows = tuple((HOSTILE, LONG, str(number)) for number in range(150))
    section = Section("", ("rule", "reason", ""), rows)
    return Page(LONG, notes=(HOSTILE,), blocks=(Block(HOSTILE, (section,)),), is_complete=True)
