"""Readers of the files of runs, each in a tree whose other files are valid."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.compare.find import find_subject
from mlpstorage_bench.compare.subject import Comparison
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.kvcache.results.stored_trial import restored_trial, stored_trial
from mlpstorage_bench.report.compare_report import compare_lines
from mlpstorage_bench.results.kept_trials import KeptTrials
from mlpstorage_bench.session.resumption import resumption_of
from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.kvcache.results.test_stored_trial import measured
from tests.validation.trees import KV_TIME, ORGANIZATION, SYSTEM, Submission

_SYSTEMS = f"closed/{ORGANIZATION}/systems"
_LEAF = f"closed/{ORGANIZATION}/results/{SYSTEM}/kv_cache/llama3.1-8b/run/{KV_TIME}"
PLACES = {
    "metadata": f"{_LEAF}/kv_cache_{KV_TIME}_metadata.json",
    "summary": f"{_LEAF}/summary.json",
    "results of a rank": f"{_LEAF}/option_1/trial_0/rank_0/kvcache_results_{KV_TIME}.json",
    "description of the system": f"{_SYSTEMS}/{SYSTEM}.yaml",
    "table of filesystems": f"{_LEAF}/fs_separation.json",
    "pointer to the code": f"{_LEAF}/.mlps-code-image",
}
"""Files of a tree: name of the reader → place."""


def in_tree(place: str) -> Callable[[Path], object]:
    """Return a reader of a file of a submission: verdicts, comparison and list of its run."""

    def read(path: Path) -> object:
        tree = path.parent / "tree"
        if not tree.is_dir():
            Submission(tree).write()
        valid = (tree / place).read_bytes()
        path.replace(tree / place)
        try:
            findings = validate(read_tree(tree))
            with History(tree) as history:
                listed = history.runs(RunFilter())
                subject = find_subject(str(tree / _LEAF), history)
            return findings, listed, compare_lines(Comparison([subject, subject]), 100)
        finally:
            (tree / place).write_bytes(valid)

    return read


def valid_in_tree(place: str) -> bytes:
    """Return the valid content of a file of a submission."""
    with TemporaryDirectory() as folder:
        return (Submission(Path(folder) / "tree").write() / place).read_bytes()


_CASE = CaseRecord("kv_cache", "mine", 1, {}, test="test_it.py::test_a", workload_fingerprint="77")


def read_kept_trial(path: Path) -> object:
    """Read the record of a finished trial, and restore the trial."""
    kept = KeptTrials(path.parent)
    place = kept.directory / "case_mine" / "trial_1.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    path.replace(place)
    kept.last("run")
    for trial in kept.finished("run", _CASE, 0):
        try:
            return restored_trial(trial.state)
        except ValueError as error:
            raise MlpsError(ascii(str(error))) from error
    return None


def kept_trial() -> bytes:
    """Return the record of a finished trial of no rank."""
    record = {
        "test": _CASE.test,
        "workload_fingerprint": _CASE.workload_fingerprint,
        "ended": "2026-11-01T12:00:01+00:00",
        "runtime_s": 1.5,
        "files": {},
        "state": stored_trial(measured(1)),
    }
    return json.dumps(record).encode()


def read_resumption(path: Path) -> object:
    """Read the metadata of a run that is to be continued."""
    return resumption_of(path, datetime(2026, 11, 2, tzinfo=UTC))
