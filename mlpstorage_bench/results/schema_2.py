"""Results of schema versions 1 and 2: read as those of version 3.

Version 2 had no options: all its cases were in directories `option_<case>`. Its metadata had our
own fields at the top level, too. Readers of results call
this module, which calls that of version 1.
"""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.results import schema_1

VERSION = 2
NEXT_VERSION = 3
_KEY = "mlpstorage"
_DROPPED = ("kvcache_metrics",)
"""Fields of the top level that were there twice."""
_MOVED = ("metrics", "status", "end_datetime", "request_stream_sha256", *_DROPPED)
"""Fields of the top level that the reference does not have."""
_OF_RANK = ("rank", "host", "trial", "parameters")
"""Fields of the top level of a rank's result that the reference does not have."""
_OPTIONS = {"1": 1, "2": 2, "3": 3}


def upgraded_metadata(content: object) -> object:
    """Return a run's metadata in version 3; any other JSON unchanged."""
    content = schema_1.upgraded_metadata(content)
    own = _of_version_2(content)
    if own is None or not isinstance(content, dict):
        return content
    kept = {name: value for name, value in content.items() if name not in _MOVED}
    moved = {name: content[name] for name in _MOVED if name in content and name not in _DROPPED}
    files = content.get("command_output_files")
    upgraded = {
        **own,
        **moved,
        "schema_version": NEXT_VERSION,
        "metric_descriptions": own.get("metrics"),
        "metrics": content.get("metrics"),
        "start_datetime": content.get("run_datetime"),
        "parameters": content.get("parameters"),
        "files": files,
    }
    return {**kept, "command_output_files": [], _KEY: upgraded}


def upgraded_document(document: object) -> object:
    """Return pytest-benchmark's JSON with our record in version 3; any other JSON unchanged."""
    document = schema_1.upgraded_document(document)
    record = _of_version_2(document)
    if record is None or not isinstance(document, dict):
        return document
    upgraded = {
        **record,
        "schema_version": NEXT_VERSION,
        "user_set": record.get("args"),
        "args": {},
    }
    untimed = record.get("untimed_cases")
    if isinstance(untimed, list):
        upgraded["untimed_cases"] = [_upgraded_case(case) for case in untimed]
    benchmarks = document.get("benchmarks")
    if isinstance(benchmarks, list):
        benchmarks = [_upgraded_benchmark(benchmark) for benchmark in benchmarks]
    return {**document, "benchmarks": benchmarks, _KEY: upgraded}


def _of_version_2(content: object) -> Json | None:
    """Return our part of a JSON document if it has version 2."""
    own = content.get(_KEY) if isinstance(content, dict) else None
    return own if isinstance(own, dict) and own.get("schema_version") == VERSION else None


def _upgraded_benchmark(benchmark: object) -> object:
    extra = benchmark.get("extra_info") if isinstance(benchmark, dict) else None
    if not isinstance(benchmark, dict) or not isinstance(extra, dict) or _KEY not in extra:
        return benchmark
    return {**benchmark, "extra_info": {**extra, _KEY: _upgraded_case(extra[_KEY])}}


def _upgraded_case(case: object) -> object:
    if not isinstance(case, dict):
        return case
    name, parameters = case.get("case"), case.get("parameters")
    is_simulated = isinstance(parameters, dict) and parameters.get("storage") == "null"
    option = _OPTIONS.get(name) if isinstance(name, str) and not is_simulated else None
    upgraded = {**case, "option": option}
    if isinstance(case.get("trials"), list):
        upgraded["trials"] = [_upgraded_trial(trial) for trial in case["trials"]]
    return upgraded


def _upgraded_trial(trial: object) -> object:
    ranks = trial.get("ranks") if isinstance(trial, dict) else None
    if not isinstance(trial, dict) or not isinstance(ranks, list):
        return trial
    return {**trial, "ranks": [_upgraded_rank(rank) for rank in ranks]}


def _upgraded_rank(rank: object) -> object:
    """Return a rank's result with our own fields of its top level under our key."""
    own = rank.get(_KEY) if isinstance(rank, dict) else None
    if not isinstance(rank, dict) or not isinstance(own, dict):
        return rank
    moved = {name: rank[name] for name in _OF_RANK if name in rank}
    kept = {name: value for name, value in rank.items() if name not in _OF_RANK}
    return {**kept, _KEY: {**moved, **own}}
