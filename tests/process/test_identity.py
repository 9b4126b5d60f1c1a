"""Identity of processes: a number that was given to another process, boots and namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlpstorage_bench.process.identity import clock_number, is_running, start_of

NOW_S = time.time()


def test_own_process_runs() -> None:
    start = start_of(os.getpid())
    assert start is not None
    assert is_running(os.getpid(), start, NOW_S) is True


def test_process_that_has_ended_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        start = start_of(process.pid)
        process.communicate(b"\n")
    assert start is not None
    assert is_running(process.pid, start, NOW_S) is False


def test_another_process_of_the_same_number_is_not_the_same() -> None:
    start = start_of(os.getpid())
    assert start is not None
    boot, namespace, ticks = start.split(" ")
    assert is_running(os.getpid(), f"{boot} {namespace} {int(ticks) - 1}", NOW_S) is False


def test_process_before_this_boot_does_not_run_and_one_elsewhere_is_unknown() -> None:
    start = start_of(os.getpid())
    assert start is not None
    other = " ".join(["another-boot", *start.split(" ")[1:]])
    assert is_running(os.getpid(), other, seen_s=0.0) is False
    assert is_running(os.getpid(), other, seen_s=NOW_S) is None


def test_process_of_another_namespace_is_unknown() -> None:
    start = start_of(os.getpid())
    assert start is not None
    boot, _, ticks = start.split(" ")
    assert is_running(os.getpid(), f"{boot} pid:[1] {ticks}", NOW_S) is None


def test_clock_is_that_of_a_host_name_a_boot_and_a_time_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def number(boot: str = "boot", namespace: str = "time:[1]") -> int:
        folder = tmp_path / boot / namespace
        (folder / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
        (folder / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
        (folder / "self/ns").mkdir(parents=True, exist_ok=True)
        (folder / "self/ns/time").unlink(missing_ok=True)
        (folder / "self/ns/time").symlink_to(namespace)
        return clock_number(folder)

    here = number()
    assert here == number() != 0
    others = {number("another"), number(namespace="time:[2]")}
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="another"))
    assert len(others | {here, number()}) == 4


def test_clock_is_unknown_without_a_boot(tmp_path: Path) -> None:
    assert clock_number(tmp_path) == 0


def test_start_is_unknown_where_the_kernel_hides_it(tmp_path: Path) -> None:
    assert start_of(os.getpid(), tmp_path) is None
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "stat").write_text("1 (strange) R")
    assert start_of(os.getpid(), tmp_path) is None
    assert is_running(os.getpid(), None, NOW_S, tmp_path) is None


def test_name_of_a_process_may_contain_anything(tmp_path: Path) -> None:
    fields = " ".join(map(str, range(50)))
    for path, text in {
        "7/stat": f"7 (a) R 1 (b\n) S {fields}",
        "sys/kernel/random/boot_id": "boot\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4]")
    assert start_of(7, tmp_path) == "boot pid:[4] 18"
