"""Every reader of users' files and values, with valid inputs to start from.

A reader is added here with a function that reads a file, and one or more valid inputs.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpstorage_bench import registry
from mlpstorage_bench.checkpointing.config.profile_file import (
    load_profile as load_checkpointing,
)
from mlpstorage_bench.checkpointing.runner.manifest import ListedFile, Manifest
from mlpstorage_bench.compare.published_row import row_subject
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index import Index
from mlpstorage_bench.history.index_file import INDEX_NAME
from mlpstorage_bench.history.reading import read_metadata
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.fio_job import fio_job
from mlpstorage_bench.kvcache.trace_input import detect
from mlpstorage_bench.kvcache.workload.accesses import Rules
from mlpstorage_bench.kvcache.workload.traces.replay import Replay
from mlpstorage_bench.launch.host_list import parse_hosts
from mlpstorage_bench.leaves.reading import Unreadable, read_yaml
from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.settings import read_settings
from mlpstorage_bench.results.convert import convert_file
from mlpstorage_bench.results.sealed_json import sealed
from mlpstorage_bench.submission.csv_text import csv_text
from mlpstorage_bench.submission.draft import draft
from mlpstorage_bench.submission.system_cells import system_cells
from mlpstorage_bench.validation.system_description import problems_of
from mlpstorage_bench.validation.tree import System
from tests.fuzz.trees import (
    PLACES,
    in_tree,
    kept_trial,
    read_kept_trial,
    read_resumption,
    valid_in_tree,
)
from tests.past_runs import REFERENCES, leave_run
from tests.shown import show
from tests.submission.filling import filled


@dataclass(frozen=True)
class Reader:
    """A reader of files; values of options are read from a file's bytes, too."""

    name: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    """Valid inputs."""
    inputs: int = 60
    """Number of inputs that `make test` tries."""


def read_trace(path: Path) -> object:
    """Read a whole trace."""
    trace = detect(path)
    if trace.has_times:
        return sum(1 for _ in trace.arrivals(Replay(Rules(), 42)))
    return trace.conversations()


def read_client_rates(path: Path) -> object:
    """Read a client's rates; its lengths are valid."""
    return _read_client(path, path.read_bytes(), _LENGTHS)


def read_client_lengths(path: Path) -> object:
    """Read a client's lengths; its rates are valid."""
    return _read_client(path, _RATES, path.read_bytes())


def _read_client(path: Path, rates: bytes, lengths: bytes) -> object:
    (path.parent / "c-dataset.json").write_bytes(lengths)
    trace = path.parent / "c-trace.csv"
    trace.write_bytes(rates)
    arrivals = detect(trace).arrivals(Replay(Rules(), 42)) if detect(trace).has_times else ()
    return sum(1 for _ in itertools.islice(arrivals, 10_000))


def read_setting(path: Path) -> object:
    """Read KEY=VALUE of `--mlps-set`."""
    key, _, value = _text(path).partition("=")
    return load_profile("quick", [(key, value)])


def read_option(path: Path) -> object:
    """Read NAME=VALUE as the value of any option."""
    name, _, text = _text(path).partition("=")
    namespace = argparse.Namespace(**{option.dest: None for option in OPTIONS})
    for option in OPTIONS:
        if option.name == name:
            value = option.keywords.get("type", str)(text)
            is_listed = option.keywords.get("action") == "append"
            setattr(namespace, option.dest, [value] if is_listed else value)
    return read_settings(namespace, {})


def show_metadata(path: Path) -> object:
    """Read a run's metadata, and show the run in every form."""
    metadata = read_metadata(path)
    with Index(path.parent, in_memory=True) as index:
        show(metadata, index)
    return metadata


def read_summary(path: Path) -> object:
    """Read the summary of a run of the reference, which has no metadata."""
    leaf = path.parent / "closed/a/results/b/kv_cache/c/run/20260801_120000"
    leaf.mkdir(parents=True, exist_ok=True)
    path.rename(leaf / "summary.json")
    return read_metadata(leaf / "summary.json", with_trials=True)


def read_table(path: Path) -> object:
    """Read a row of a published table."""
    table = path.with_suffix(".csv")
    path.rename(table)
    return row_subject("--mlps-compare", f"{table}#array")


def ask_index(path: Path) -> object:
    """Ask an index, beside the files of two runs."""
    results = path.parent / "indexed"
    if not results.is_dir():
        leave_run(results, 1)
        leave_run(results, 2)
    for old in results.glob(f"{INDEX_NAME}*"):
        old.unlink()
    path.rename(results / INDEX_NAME)
    with History(results) as history:
        runs = history.runs(RunFilter(test="*", host="*", since=datetime(2020, 1, 1, tzinfo=UTC)))
        values = history.values([run.run_id for run in runs], "1", "read_gib_s")
        return runs, values, history.metrics(), history.listed(), history.problems


def convert(path: Path) -> object:
    """Convert pytest-benchmark's JSON to the files of a run."""
    return convert_file(path, path.parent / "converted", registry.load)


def describe_system(path: Path) -> object:
    """Read a system's description: what it lacks, and the cells of the table that it gives."""
    place = path.parent / "open" / "vendor" / "results" / "array"
    description = place.parents[1] / "systems" / "array.yaml"
    description.parent.mkdir(parents=True, exist_ok=True)
    path.rename(description)
    read = read_yaml(description)
    if isinstance(read, Unreadable):
        raise MlpsError(read.cause)
    cells = system_cells(System("open", "vendor", "array", place))
    return problems_of(read), csv_text([*cells], [cells.values()])


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


_PROFILE = b"""name: nightly
model: llama3.1-8b
duration: 60
trials: 5
models:
  ours-30b: {layers: 48, hidden_size: 6144, kv_heads: 4, head_dim: 128, dtype: float8}
gate: {read_bandwidth: -10%}
workloads:
  chat: &chat {num_users: 50, slos: {interactive: {p95_ms: 50}}}
  long: {<<: *chat, num_users: 10, model: ours-30b, rag_document_tokens: [10, 20]}
"""
_OPERATIONS = b"""Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase
10.0,Write,8192,storage,a,Prefill
10.5,Read,8192,storage,"a",Decode
"""
_BURST_GPT = b"""Timestamp,Session ID,Model,Request tokens,Response tokens
5.0,1722ac82,ChatGPT,472,18
45.0,1722ac82,GPT-4,1087,230
"""
_AZURE = b"""TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
"""
_MOONCAKE = b"""{"timestamp": 0, "input_length": 1024, "output_length": 9, "hash_ids": [0, 1]}
{"timestamp": 9, "input_length": 1100, "output_length": 5, "hash_ids": [0, 2, 3]}
"""
_QWEN_BAILIAN = b"""{"chat_id": 0, "parent_chat_id": -1, "timestamp": 0.5, "input_length": 40, \
"output_length": 32, "type": "text", "turn": 1, "hash_ids": [0, 1, 2]}
"""
_SESSION = b"""{"id": "x", "block_size": 64, "hash_id_scope": "local", "requests": [
{"t": 0.0, "type": "n", "in": 130, "out": 5, "hash_ids": [1, 2]},
{"t": 4.0, "type": "s", "in": 200, "out": 5, "hash_ids": [1, 2, 3]}], "totals": {}}
"""
_RATES = b"""0,0,0,,0,0
600,0.05,1,Gamma,2.0,1.0
1200,0.1,1,Weibull,0.5,1.0
"""
_LENGTHS = b"""{"0": {"input_tokens": "{}", "output_tokens": "{}"},
"1200": {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{3: 1.0}"}}
"""
_CONVERSATION = b"""{"id": "1", "conversations": [{"from": "human", "value": "hello"}, \
{"from": "gpt", "value": "hello"}]}"""
_HOSTS = b"""# hosts
node[01-04] slots=2 max_slots=4
n1:4
n2
n2
[::1]:2
"""
_SETTINGS = (
    *(b"duration=5", b"workloads.1.num_users=7", b"slos={interactive: {p95_ms: 50}}"),
    *(b"trace_out=/x/run #2/o.csv", b"duration=1e1", b"gate={read_p95: 5%}", b"options.1.lanes=2"),
)
_VALUES = (
    *(b"hosts=n[1-4]:2,m", b"num-processes=8", b"npernode=4", b"timeout=60", b"grace=5"),
    *(b"mpi-params=--mca btl 'tcp,self'", b"seed=7", b"trials=3", b"results-dir=/x", b"tag=a"),
    *(b"orgname=x", b"systemname=x", b"report=x.md", b"set=duration=5", b"gate-looks=4"),
    *(b"history-last=5", b"cache-dir=/x", b"gate-report=x.json", b"profile=quick"),
)
_SUMMARY = b"""{"host_count": 2, "total_ranks": 4, "options": {"1": {"option": 1, "rank_count": 4,
"trial_count": 3, "aggregated_read_bandwidth_gbps": 12.5, "aggregated_p95_latency_ms": 100.5,
"missing_files": ["/r/option_1/trial_0/rank_3"], "partial_failure": true}},
"partial_failure": true, "trial_failures": {"1": [{"trial": 2, "exit_code": 1}]}}"""
_TABLE = b"""system,ranks,hosts,trials,opt1_read_GiBps,opt1_p95_ms,opt1_missing_files,note
array,4,2,3,12.5,100.5,0,"a, b"
other,4,2,3,1,2,0,
"""
_DRAFT = draft("array", "run 1", []).encode()
_GOLDEN = Path(__file__).parent.parent / "golden"
_METADATA = tuple((_GOLDEN / f"schema_{n}" / "metadata.json").read_bytes() for n in (1, 2, 3))
_DOCUMENTS = tuple((_GOLDEN / f"schema_{n}" / "pytest_benchmark.json").read_bytes() for n in (1, 2))


def _index() -> bytes:
    """Return the index of two runs."""
    with TemporaryDirectory() as folder:
        results = Path(folder)
        for number in (1, 2):
            leave_run(results, number)
        with History(results):
            pass
        return (results / INDEX_NAME).read_bytes()


def _checkpoints() -> bytes:
    """Return a list of checkpoints with its checksum."""
    listed = Manifest(
        parameters={"model": "llama3-8b"},
        ranks=2,
        seed=42,
        ended_at=1.5,
        checkpoints={1: [ListedFile(name="rank-0.pt", size=4096, identity=7, digests="00" * 8)]},
    )
    return json.dumps(sealed(listed.model_dump(mode="json"))).encode()


READERS = (
    Reader("profile", lambda path: load_profile(str(path)), (_PROFILE,)),
    Reader(
        "profile of checkpoints",
        lambda path: load_checkpointing(str(path)),
        (b"name: mine\nmodel: llama3-8b\nscale: 0.5\ngate:\n  write_gib_s: -5%\n",),
    ),
    Reader("list of checkpoints", Manifest.of_file, (_checkpoints(),)),
    Reader("operations", read_trace, (_OPERATIONS,)),
    Reader("fio job", fio_job, (_OPERATIONS,)),
    Reader("BurstGPT", read_trace, (_BURST_GPT,)),
    Reader("Azure", read_trace, (_AZURE,)),
    Reader("Mooncake", read_trace, (_MOONCAKE,)),
    Reader("Qwen-Bailian", read_trace, (_QWEN_BAILIAN,)),
    Reader("kv-cache-tester", read_trace, (_SESSION, _SESSION.replace(b"\n", b""))),
    Reader("ServeGen's rates", read_client_rates, (_RATES,)),
    Reader("ServeGen's lengths", read_client_lengths, (_LENGTHS,)),
    Reader("ShareGPT", read_trace, (b"[" + _CONVERSATION + b"]", _CONVERSATION + b"\n")),
    Reader("host file", lambda path: parse_hosts([f"@{path}"]), (_HOSTS,)),
    Reader("--mlps-set", read_setting, _SETTINGS),
    Reader("options", read_option, _VALUES),
    Reader("metadata", show_metadata, (*_METADATA, json.dumps(REFERENCES).encode())),
    Reader("summary of the reference", read_summary, (_SUMMARY,)),
    Reader("published table", read_table, (_TABLE,)),
    Reader("description of a system", describe_system, (_DRAFT, filled(_DRAFT.decode()).encode())),
    Reader("index of the history", ask_index, (_index(),)),
    Reader("pytest-benchmark", convert, _DOCUMENTS),
    *(
        Reader(f"{name} in a tree", in_tree(place), (valid_in_tree(place),), inputs=10)
        for name, place in PLACES.items()
    ),
    Reader("record of a trial", read_kept_trial, (kept_trial(),)),
    Reader("run to be continued", read_resumption, (_METADATA[-1],)),
)
