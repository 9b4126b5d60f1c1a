"""Parsing of one metadata file: the run, all measured numbers, and their descriptions.

Files are ours or the reference's, of any benchmark type; the reference's have no `mlpstorage` part.
Files of a former schema version are read as those of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.past_run import PastCase, PastRun
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.results.metadata import numbers_of
from mlpstorage_bench.results.schema_1 import upgraded_metadata
from mlpstorage_bench.results.tree import METADATA_SUFFIX

REQUIRED = ("benchmark_type", "run_datetime", "num_processes", "parameters")
"""Fields that every run's metadata has."""
ALL_TRIALS = 0
"""Trial number of metrics over all trials of a case."""
WHOLE_RUN = "run"
"""Case of metrics without a case: the reference has no cases."""
_PROCESS_IDS = 1 << 31
_UNKNOWN_COMMIT = frozenset({"unversioned", "unknown", "(unknown)", "(detached head)"})
"""Values of pytest-benchmark outside of a repository."""


class Measured(NamedTuple):
    """One number."""

    case: str
    trial: int
    """Number from 1; ALL_TRIALS for all of them together."""
    metric: str
    value: float


@dataclass(frozen=True)
class RunFile:
    """Content of a metadata file."""

    run: PastRun
    facts: str
    """The run's facts as JSON."""
    measured: tuple[Measured, ...]
    described: Mapping[str, Description]
    """Descriptions of metrics by name, in the order of tables."""


class NoRunError(Exception):
    """The file is not a run's metadata, with the reason."""


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the content of a run's metadata file in the current schema; NoRunError otherwise."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoRunError(error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise NoRunError(f"no JSON ({error})") from error
    if not isinstance(content, dict):
        raise NoRunError("no run's metadata: it is not an object")
    for name in REQUIRED:
        if name not in content:
            raise NoRunError(f"no run's metadata: it has no {name!r}")
    try:
        return upgraded_metadata(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise NoRunError(f"no run's metadata: {error}") from error


def read_run(path: Path) -> RunFile:
    """Read a run's metadata file; NoRunError when it is not one."""
    content = read_metadata(path)
    try:
        described = descriptions_of(content)
        listed = [one.name for one in described.values() if one.shown >= Shown.LISTS]
        run, measured = _run(content, path, listed), tuple(_measured(content))
        facts = json.dumps(run.facts(), ensure_ascii=False)
        "".join(
            [facts, *(number.metric for number in measured)]
        ).encode()  # half a character raises
        return RunFile(run, facts, measured, described)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise NoRunError(f"no run's metadata: {error}") from error


def _run(content: Mapping[str, Any], path: Path, listed: Sequence[str]) -> PastRun:
    own = content.get("mlpstorage") or {}
    hosts = tuple(str(host) for host in content.get("hosts") or ())
    commit = own.get("commit_info") or {}
    timestamp = path.name.removesuffix(METADATA_SUFFIX)
    process_id = own.get("process_id")
    status = str(content.get("status") or "-")
    tests_passed = own.get("tests_passed")
    gate = own.get("gate") or {}
    return PastRun(
        run_id=str(own.get("run_id") or "_".join(timestamp.split("_")[-2:])),
        started=_moment(str(content["run_datetime"])),
        benchmark_type=str(content["benchmark_type"]),
        model=str(content.get("model") or "-"),
        command=str(content.get("command") or "-"),
        mode=str(own.get("mode") or content.get("verification") or "-"),
        systemname=_text(own.get("systemname")),
        num_processes=int(content["num_processes"]),
        hosts=hosts,
        status=status,
        tests_passed=tests_passed if isinstance(tests_passed, bool) else status == "passed",
        gate_verdict=_text(gate.get("verdict")),
        process_id=process_id if _is_process_id(process_id) else None,
        runtime_s=_number(content.get("runtime")),
        tags=tuple(str(tag) for tag in own.get("tags") or ()),
        system_fingerprint=_text(own.get("system_fingerprint")),
        commit=_known(commit.get("id")),
        branch=_known(commit.get("branch")),
        cases=tuple(_cases(content.get("metrics"), own.get("cases") or {}, _refused(gate), listed)),
        file=str(path),
    )


def _refused(gate: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the cases that were not compared; old metadata also lists those without any run."""
    return (gate.get("refusals") or {}) if "verdict" in gate else {}


def _is_process_id(value: object) -> bool:
    return isinstance(value, int) and 0 < value < _PROCESS_IDS


def _moment(text: str) -> datetime:
    """Read ISO 8601 or the reference's YYYYMMDD_HHMMSS; without an offset it is local time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.strptime(text, "%Y%m%d_%H%M%S")  # noqa: DTZ007 - made local below
    return moment.astimezone()


def _cases(
    metrics: object,
    facts: Mapping[str, Any],
    refusals: Mapping[str, Any],
    listed: Sequence[str],
) -> Iterator[PastCase]:
    """Yield all cases; a failed case has trials but no metrics."""
    of_cases = metrics if isinstance(metrics, dict) else {}
    for name in dict.fromkeys([*of_cases, *facts]):
        values = of_cases.get(name)
        values = values if isinstance(values, dict) else {}
        if name not in facts and not any(metric in values for metric in listed):
            continue
        fact = facts.get(name) or {}
        numbers = {metric: _number(values.get(metric)) for metric in listed}
        yield PastCase(
            name=str(name),
            test=_text(fact.get("test")),
            workload_fingerprint=_text(fact.get("workload_fingerprint")),
            is_refused=str(name) in refusals,
            listed={metric: value for metric, value in numbers.items() if value is not None},
        )


def _measured(content: Mapping[str, Any]) -> Iterator[Measured]:
    metrics = content.get("metrics")
    of_cases = metrics if isinstance(metrics, dict) else {}
    for metric, value in numbers_of(of_cases).items():
        yield Measured(WHOLE_RUN, ALL_TRIALS, metric, float(value))
    for name, values in of_cases.items():
        if isinstance(values, dict):
            for metric, value in numbers_of(values).items():
                yield Measured(str(name), ALL_TRIALS, metric, float(value))
    for name, case in ((content.get("mlpstorage") or {}).get("cases") or {}).items():
        for trial in case["trials"]:
            for metric, value in numbers_of(trial["metrics"]).items():
                yield Measured(str(name), int(trial["trial"]), metric, float(value))


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]  # just looked


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _known(value: object) -> str | None:
    return None if value is None or str(value).lower() in _UNKNOWN_COMMIT else str(value)
