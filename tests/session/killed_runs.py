"""Runs whose ranks are killed at a place in the code, and what is left of them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from mlpstorage_bench.results.kept_trials import DIRECTORY

AS_ROOT = ["--mlps-allow-run-as-root"] if os.geteuid() == 0 else []
CONFTEST = """
import functools, importlib, json, os, signal
from pathlib import Path

def kill_at(module, place, call, text, rank):
    if os.environ.get("OMPI_COMM_WORLD_RANK", "0") != rank:
        return
    owner = getattr(importlib.import_module(module), place.partition(".")[0])
    name = place.partition(".")[2]
    original, calls = getattr(owner, name), 0

    @functools.wraps(original)
    def killed(*args, **kwargs):
        nonlocal calls
        if text in repr(args):
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, killed)

if "KILL" in os.environ:
    kill_at(*json.loads(os.environ["KILL"]))

from mlpstorage_bench.kvcache.runner.engine import Engine
run_trial = Engine.run_trial

def counted(self, workload, seed, trial, *args):
    with open(f"{self._ranks.rank}.ran", "a") as file:
        print(trial, file=file)
    return run_trial(self, workload, seed, trial, *args)

Engine.run_trial = counted
"""
"""Kills its rank at a call whose arguments contain a text, and writes the trials that are run."""


def kill(
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    place: str,
    call: int,
    text: str = "",
    rank: str = "0",
) -> None:
    monkeypatch.setenv("KILL", json.dumps([module, place, call, text, rank]))


def leaf(results: Path) -> Path:
    (path,) = results.rglob("*_metadata.json")
    return path.parent


def finished_files(leaf: Path) -> dict[str, bytes]:
    """Return the files of ranks that records of finished trials name."""
    records = [json.loads(path.read_text()) for path in (leaf / DIRECTORY).glob("*/trial_*.json")]
    return {name: (leaf / name).read_bytes() for record in records for name in record["files"]}


def in_matrix(points: Iterable[str], in_each_run: Collection[str]) -> list[object]:
    """Return parameters of which `make test` tries some, and `make test-failures` all."""
    marked = pytest.mark.failure_matrix
    return [one if one in in_each_run else pytest.param(one, marks=marked) for one in points]
