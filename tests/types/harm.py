"""Harm to a run in its second trial, or to its storage, by a conftest of its session."""

from __future__ import annotations

from tests.types.project import Project

_CONFTEST = """
import os, signal, threading, time
from pathlib import Path

from mlpstorage_bench.measure.recorder import EntryObserver
from mlpstorage_bench.trial.case_trials import CaseTrials

CACHE, DATA, ONCE = Path({cache!r}), {data!r}, Path({once!r})
LARGER_THAN = 8192
run_one, done = CaseTrials.run_one, EntryObserver.done

def in_the_second_trial(trials):
    if trials.count == 1 and ONCE.exists():
        ONCE.unlink()
        {harm}()
    return run_one(trials)

CaseTrials.run_one = in_the_second_trial

def in_background(work, *given):
    threading.Thread(target=work, args=given, daemon=True).start()

def to_all_data(harm):
    while True:
        for path in [*CACHE.glob(DATA)]:
            try:
                if path.stat().st_size > LARGER_THAN:
                    harm(path)
            except FileNotFoundError:
                pass
        time.sleep(0.002)

def change_a_file(path):
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"changed!")

def change():
    in_background(to_all_data, change_a_file)

def remove():
    in_background(to_all_data, Path.unlink)

def cut():
    in_background(to_all_data, lambda path: os.truncate(path, 4096))

def interrupt():
    EntryObserver.done = interrupting

def interrupting(observer, *given):
    EntryObserver.done = done
    os.kill(os.getpid(), signal.SIGINT)
    done(observer, *given)

def fill():
    file = (CACHE.parent / "others").open("wb", buffering=0)
    fill_once(file)
    in_background(keep_full, file)

def fill_once(file):
    try:
        while True:
            file.write(bytes(1 << 12))
    except OSError:
        pass

def keep_full(file):
    while True:
        fill_once(file)
        time.sleep(0.001)
"""


def harm(project: Project, kind: str) -> None:
    """Let a session harm its run once, when a second trial begins.

    `change`, `remove` and `cut` do so to all files with data, until the session ends; `fill` to the
    free space; `interrupt` sends SIGINT at the end of the trial's first operation.
    """
    once = project.path / "harm_once"
    once.touch()
    text = _CONFTEST.format(
        cache=str(project.cache), data=project.smallest.data, once=str(once), harm=kind
    )
    (project.path / "conftest.py").write_text(text)
