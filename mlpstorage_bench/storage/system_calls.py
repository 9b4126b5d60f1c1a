"""System calls that Python has no function for, through the C library's `syscall`."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import threading
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
HOLDING_LIBC = ctypes.PyDLL(None, use_errno=True)
"""The same library; its calls do not release the interpreter's lock, as they return at once."""

Call = Callable[..., int]
"""Takes the number as a c_long, then arguments: int (32 bits), c_long, c_void_p or None.

Plain integers are quicker than objects of ctypes. Returns -1 after an error (see `last_error`).
"""


def system_call(library: ctypes.CDLL = LIBC) -> Call:
    """Return the function that makes system calls."""
    call = library.syscall
    call.restype = ctypes.c_long
    return call


def last_error() -> OSError:
    """Return the error of this thread's last system call."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def refusal(name: str, hints: dict[int, str]) -> str:
    """Return why a system call was refused, from this thread's last error."""
    number = ctypes.get_errno()
    code = errno.errorcode.get(number, number)
    return f"{name} returned {code}: {hints.get(number, os.strerror(number))}"


def address_of(memory: bytearray | memoryview) -> int:
    """Return the address of writable memory."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


ORDERS_LOADS = platform.machine() == "x86_64"
"""Whether the processor loads from memory in the order of the program."""
_lock = threading.Lock()
_lock.acquire()


def order_loads() -> None:
    """Make later loads see all that the kernel stored before what was loaded until now.

    The kernel publishes events by storing the tail of a ring after them. A processor that is not
    x86 may load the events before the tail. Releasing and acquiring a lock has an order against all
    loads before and after (a store-release, then a load-acquire of the same word).
    """
    _lock.release()
    _lock.acquire()
