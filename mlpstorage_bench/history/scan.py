"""Finding and reading the metadata of earlier runs, ours and the reference's, of every type."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from mlpstorage_bench.results.tree import METADATA_SUFFIX

REQUIRED = ("benchmark_type", "run_datetime", "num_processes", "parameters")
"""A record is complete for its readers with these."""
DIED = "died"
"""Status of a run that says it is running, while its process is gone."""


@dataclass(frozen=True)
class CaseFigures:
    """The figures of one case that a list shows."""

    case: str
    read_gib_s: float | None
    write_gib_s: float | None
    read_p95_ms: float | None


@dataclass(frozen=True)
class PastRun:
    """One run, as its metadata tells it."""

    run_id: str
    started: datetime
    benchmark_type: str
    model: str
    command: str
    mode: str
    num_processes: int
    num_hosts: int
    status: str
    cases: tuple[CaseFigures, ...]
    path: Path


@dataclass(frozen=True)
class History:
    """Runs, oldest first, and what could not be read as one."""

    runs: tuple[PastRun, ...]
    problems: tuple[str, ...]


def scan(results_dir: Path) -> History:
    """Read every metadata file below a directory; a file that is no run's is named, not fatal."""
    runs: list[PastRun] = []
    problems: list[str] = []
    for path in _metadata_files(results_dir, problems):
        try:
            runs.append(read_run(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{path}: {_describe(error)}")
    runs.sort(key=lambda run: (run.started.timestamp(), run.run_id))
    return History(tuple(runs), tuple(problems))


def _metadata_files(results_dir: Path, problems: list[str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            problems.append(f"{error.filename}: {error.strerror}")

    for folder, _, names in os.walk(results_dir, onerror=note):
        for name in sorted(names):
            if name.endswith(METADATA_SUFFIX) and not name.startswith("."):
                yield Path(folder) / name


def _describe(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON ({error})"
    if isinstance(error, KeyError):
        return f"no run's metadata: it has no {error.args[0]!r}"
    return f"no run's metadata: {error}"


def read_run(path: Path) -> PastRun:
    """Read one metadata file; raises OSError, ValueError, KeyError, TypeError, AttributeError."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError("it is not an object")
    for name in REQUIRED:
        content[name]
    own = content.get("mlpstorage") or {}
    timestamp = path.name.removesuffix(METADATA_SUFFIX)
    return PastRun(
        run_id=str(own.get("run_id") or "_".join(timestamp.split("_")[-2:])),
        started=_moment(str(content["run_datetime"])),
        benchmark_type=str(content["benchmark_type"]),
        model=str(content.get("model") or "-"),
        command=str(content.get("command") or "-"),
        mode=str(own.get("mode") or content.get("verification") or "-"),
        num_processes=int(content["num_processes"]),
        num_hosts=len(content.get("hosts") or ()) or 1,
        status=_status(content, own),
        cases=tuple(_cases(content.get("metrics"))),
        path=path,
    )


def _moment(text: str) -> datetime:
    """Read ISO 8601 or the reference's YYYYMMDD_HHMMSS; without an offset it is local time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.strptime(text, "%Y%m%d_%H%M%S")  # noqa: DTZ007 - made local below
    return moment.astimezone()


def _status(content: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    status = str(content.get("status") or "-")
    if status != "running":
        return status
    on_this_host = os.uname().nodename == (content.get("hosts") or [None])[0]
    process_id = own.get("process_id")
    if on_this_host and process_id is not None and not psutil.pid_exists(int(process_id)):
        return DIED
    return status


def _cases(metrics: object) -> Iterator[CaseFigures]:
    if not isinstance(metrics, dict):
        return
    for name, values in metrics.items():
        if isinstance(values, dict) and "read_gib_s" in values:
            yield CaseFigures(
                str(name),
                _number(values.get("read_gib_s")),
                _number(values.get("write_gib_s")),
                _number(values.get("read_p95_ms")),
            )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
