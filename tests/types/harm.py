"""Harm to a run in its second trial, or to its storage, by a conftest of its session."""

from __future__ import annotations

from tests.types.project import Project

_CONFTEST = """
import fcntl, os, signal, threading, time
from pathlib import Path

from mlpstorage_bench.measure.recorder import EntryObserver, Recorder
from mlpstorage_bench.trial.case_trials import CaseTrials

CACHE, DATA, ONCE = Path({cache!r}), {data!r}, Path({once!r})
LOOP_SET_CAPACITY = 0x4C07
LARGER_THAN = 8192
run_one, done, observe = CaseTrials.run_one, EntryObserver.done, Recorder.observe

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
        try:
            for path in [*CACHE.glob(DATA)]:
                if path.stat().st_size > LARGER_THAN:
                    harm(path)
        except FileNotFoundError:
            pass  # the run has removed the file, or a directory while it was listed
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

def lose_blocks():
    loop = f"loop{{os.minor(CACHE.parent.stat().st_dev)}}"
    image = Path(f"/sys/block/{{loop}}/loop/backing_file").read_text().strip()
    os.truncate(image, 1 << 16)
    with open(f"/dev/{{loop}}", "rb") as device:
        fcntl.ioctl(device, LOOP_SET_CAPACITY)

def lose_blocks_at_a_read():
    lose_blocks_at("read")

def lose_blocks_at_a_write():
    lose_blocks_at("write")

def lose_blocks_at(chosen):
    def losing(recorder, tier, kind, *given, **options):
        if kind == chosen:
            Recorder.observe = observe
            lose_blocks()
        return observe(recorder, tier, kind, *given, **options)

    Recorder.observe = losing

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
    free space. `lose_blocks_at_a_write` and `lose_blocks_at_a_read` do so to the loop device of the
    filesystem when the next of them begins: its first 64 KiB stay. `interrupt` sends SIGINT at the
    end of the trial's first operation.
    """
    once = project.path / "harm_once"
    once.touch()
    text = _CONFTEST.format(
        cache=str(project.cache), data=project.smallest.data, once=str(once), harm=kind
    )
    (project.path / "conftest.py").write_text(text)
