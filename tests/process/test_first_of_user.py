"""The first process of a user, also where another user holds the name."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlpstorage_bench.process.first_of_user import is_first_of_user

HOLDER = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
held = socket.socket(socket.AF_UNIX)
held.bind("\\0" + sys.argv[1])
if sys.argv[3] == "listens":
    held.listen(1)
print("held", flush=True)
input()
"""


@contextmanager
def held(name: str, user: int, how: str = "listens") -> Iterator[None]:
    """Hold a name in a process of a user."""
    command = [sys.executable, "-c", HOLDER, name, str(user), how]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate(b"\n")


def new_name() -> str:
    return f"mlps-test-{secrets.token_hex(8)}"


def ask(name: str) -> bool:
    code = (
        "import sys; from mlpstorage_bench.process.first_of_user import is_first_of_user; "
        "print(is_first_of_user(sys.argv[1]), flush=True)"
    )
    return subprocess.check_output([sys.executable, "-c", code, name], text=True) == "True\n"


def test_second_process_of_a_user_is_not_the_first() -> None:
    name = new_name()
    with held(name, os.geteuid()):
        assert not is_first_of_user(name)
    assert ask(name)
    assert ask(name)  # the name is free again when its process has ended


def test_name_that_another_process_is_about_to_listen_to_is_held() -> None:
    name = new_name()
    with socket.socket(socket.AF_UNIX) as claim:
        claim.bind(f"\0{name}")
        claim.listen()
        assert not ask(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user as well")
@pytest.mark.parametrize("how", ["listens", "does not listen"])
def test_name_that_another_user_holds_silences_nobody(how: str) -> None:
    name = new_name()
    with held(name, 65534, how):
        assert is_first_of_user(name)
