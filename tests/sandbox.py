"""A seccomp filter like a container's: system calls fail with an error number of the test's choice.

`MODULE` is the text of a module for a child process: a filter cannot be removed again.
"""

from __future__ import annotations

import platform

import pytest

MODULE = """
import ctypes, platform

NUMBERS = {
    "x86_64": {
        "cachestat": 451, "mincore": 27, "fadvise64": 221,
        "io_setup": 206, "io_getevents": 208, "io_submit": 209,
    },
    "aarch64": {
        "cachestat": 451, "mincore": 232, "fadvise64": 223,
        "io_setup": 0, "io_getevents": 4, "io_submit": 2,
    },
}
for numbers in NUMBERS.values():
    numbers.update(io_uring_setup=425, io_uring_enter=426, io_uring_register=427)
LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2

class Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    ]

class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction))]

def deny(error, *names):
    calls = [NUMBERS[platform.machine()][name] for name in names]
    code = [Instruction(LOAD_NUMBER, 0, 0, 0)]
    code += [
        Instruction(IF_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)
    ]
    code += [Instruction(RETURN, 0, 0, ALLOW), Instruction(RETURN, 0, 0, FAIL | error)]
    program = Program(len(code), (Instruction * len(code))(*code))
    libc = ctypes.CDLL(None, use_errno=True)
    unsigned = ctypes.c_ulong
    assert libc.prctl(NO_NEW_PRIVILEGES, unsigned(1), unsigned(0), unsigned(0), unsigned(0)) == 0
    done = libc.prctl(SET_SECCOMP, unsigned(FILTER), ctypes.byref(program))
    assert done == 0, ctypes.get_errno()
"""
"""Defines `deny(error, *names)`, which installs a filter for this thread and those after it."""


def need_seccomp() -> None:
    """Skip the test on a machine whose numbers of system calls `MODULE` does not have."""
    if platform.machine() not in {"x86_64", "aarch64"}:
        pytest.skip(f"numbers of system calls are not known on {platform.machine()}")
