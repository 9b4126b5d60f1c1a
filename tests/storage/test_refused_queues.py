"""Hosts whose sandbox blocks io_uring, or Linux AIO too."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.storage.kernel_queue import QueueKind, QueueRefusedError
from mlpstorage_bench.storage.queues import open_queue
from tests.sandbox import MODULE, need_seccomp

SCRIPT = """
import json
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from mlpstorage_bench.storage.queues import open_queue
try:
    opened = open_queue("auto", 4)
except QueueRefusedError as error:
    print(json.dumps(["", str(error)]))
else:
    opened.queue.wake()
    assert opened.queue.reap(None) == []
    opened.queue.close()
    print(json.dumps([opened.kind, opened.refusal]))
"""


def opened_in_a_sandbox(folder: Path, error: int, *denied: str) -> tuple[str, str]:
    """Return kind and refusal of the queue of a process whose filter denies system calls."""
    need_seccomp()
    (folder / "sandbox.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "-c", f"from sandbox import deny\ndeny({error}, *{denied!r})\n{SCRIPT}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    kind, refusal = json.loads(done.stdout)
    return kind, refusal


def need(kind: QueueKind) -> None:
    try:
        open_queue(kind, 1).queue.close()
    except QueueRefusedError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("kind", ["io_uring", "linux_aio"])
def test_queue_of_a_kind_is_opened(kind: QueueKind) -> None:
    need(kind)
    opened = open_queue(kind, 1)
    opened.queue.close()
    assert (opened.kind, opened.refusal) == (kind, "")


def test_best_queue_is_opened() -> None:
    need("io_uring")
    opened = open_queue("auto", 1)
    opened.queue.close()
    assert (opened.kind, opened.refusal) == ("io_uring", "")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            errno.EPERM,
            "EPERM: a sandbox blocks it, or the sysctl kernel.io_uring_disabled is not 0",
        ),
        (errno.ENOSYS, "ENOSYS: this kernel does not support it, or a sandbox hides it"),
    ],
    ids=["EPERM", "ENOSYS"],
)
@pytest.mark.parametrize("call", ["io_uring_setup", "io_uring_enter", "io_uring_register"])
def test_sandbox_without_io_uring_has_linux_aio(
    tmp_path: Path, call: str, error: int, hint: str
) -> None:
    need("linux_aio")
    need("io_uring")
    kind, refusal = opened_in_a_sandbox(tmp_path, error, call)
    assert (kind, refusal) == ("linux_aio", f"no io_uring: {call} returned {hint}")


@pytest.mark.parametrize("call", ["io_setup", "io_submit", "io_getevents"])
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS], ids=["EPERM", "ENOSYS"])
def test_sandbox_without_both_refuses_with_both_reasons(
    tmp_path: Path, call: str, error: int
) -> None:
    need("linux_aio")
    kind, refusal = opened_in_a_sandbox(tmp_path, error, "io_uring_setup", call)
    code = errno.errorcode[error]
    assert kind == ""
    assert f"no io_uring: io_uring_setup returned {code}: " in refusal
    assert f"; no Linux AIO: {call} returned {code}: " in refusal
