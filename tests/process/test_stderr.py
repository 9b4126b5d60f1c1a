"""The real standard error: duplicated once, not inherited, and dispensable."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> subprocess.CompletedProcess[str]:
    program = f"import os\nfrom mlpstorage_bench.process import stderr\n{code}"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_message_after_descriptor_2_was_replaced_reaches_the_real_stderr() -> None:
    code = """if True:
        stderr.duplicate()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        stderr.duplicate()
        stderr.say("heard")
    """
    done = run(code)
    assert done.stderr == "heard\n"


def test_message_before_any_duplicate_reaches_descriptor_2() -> None:
    assert run("stderr.say('heard')").stderr == "heard\n"


def test_duplicate_is_closed_on_exec() -> None:
    code = """if True:
        stderr.duplicate()
        print(stderr.descriptor() > 2, os.get_inheritable(stderr.descriptor()))
    """
    assert run(code).stdout == "True False\n"


def test_closed_stderr_drops_messages_and_stays_closed() -> None:
    code = """if True:
        os.close(2)
        stderr.duplicate()
        stderr.say("dropped")
        try:
            os.fstat(2)
        except OSError:
            print(stderr.descriptor() > 2, "still closed")
    """
    assert run(code).stdout == "True still closed\n"
