"""Layouts, numbers and flags of io_uring(7), from linux/io_uring.h: they never change."""

from __future__ import annotations

import ctypes
import errno
import struct

SETUP, ENTER, REGISTER = (ctypes.c_long(number) for number in (425, 426, 427))
"""System call numbers, the same on all machines below."""
MACHINES = ("x86_64", "aarch64", "riscv64", "loongarch64")

ENTRY = struct.Struct("=IiQQIIQH22x")
"""struct io_uring_sqe: operation, flags and priority; descriptor; offset; address; size; flags of
the operation; user data; number of the registered memory. The rest is always 0."""
DATA = 6
"""Place of the user data among these fields."""
EVENT = struct.Struct("=Qi4x")
"""struct io_uring_cqe: user data, result; its flags are skipped."""
FSYNC, READ_FIXED, WRITE_FIXED, POLL_ADD, SYNC_FILE_RANGE, OPENAT = 3, 4, 5, 6, 8, 18
READ, WRITE = 22, 23
NEEDED = (FSYNC, READ_FIXED, WRITE_FIXED, POLL_ADD, SYNC_FILE_RANGE, OPENAT, READ, WRITE)
"""Operations, by the lowest byte of an entry."""
IN_WORKER = 1 << 12
"""Flag beside the operation: a worker makes it, and not the call that submits it (IOSQE_ASYNC)."""

WORD = 0xFFFFFFFF
"""Counters of the rings have 32 bits."""

PARAMETERS = struct.Struct("=7I12x8IQ8IQ")
"""struct io_uring_params: 7 words, and the offsets of both rings."""
FEATURES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 8
"""One mapping for both rings; no event lost; entries read at submission; waits with a timeout."""
SQES_OFFSET = 0x10000000
SUBMIT_ALL, COOP_TASKRUN, TASKRUN_FLAG = 1 << 7, 1 << 8, 1 << 9
SETUP_FLAGS = (SUBMIT_ALL | COOP_TASKRUN | TASKRUN_FLAG, SUBMIT_ALL, 0)
"""Tried in turn; Linux 5.19, 5.18, 5.11.

Completions do not interrupt the thread but wait until it enters the kernel; a flag in memory shows
that they wait. DEFER_TASKRUN was not quicker (for each of 16 reads of 4 KiB, 5.3 us of CPU time
instead of 3.8 us), and with it only the thread that opens a queue could use it.
"""
ENTER_GETEVENTS, ENTER_EXT_ARG = 1 << 0, 1 << 3
WAIT = struct.Struct("=QIIQ")
"""struct io_uring_getevents_arg: signal mask, its size; address of a struct timespec."""
WAIT_BYTES = ctypes.c_long(WAIT.size)
TIMESPEC = struct.Struct("=qq")
TASKRUN = 1 << 2
"""Bit of the submission ring's flags: completions wait until the thread enters the kernel."""
REGISTER_BUFFERS, UNREGISTER_BUFFERS, REGISTER_PROBE, REGISTER_WORKERS = 0, 1, 8, 19
PROBED = 256
VECTOR = struct.Struct("=QQ")
"""struct iovec: address, size."""
LARGEST_AREA = 1 << 30
"""Limit of the kernel."""
HINTS = {
    errno.ENOSYS: "this kernel does not support it, or a sandbox hides it",
    errno.EPERM: "a sandbox blocks it, or the sysctl kernel.io_uring_disabled is not 0",
    errno.ENOMEM: "the limit on locked memory is reached (raise RLIMIT_MEMLOCK)",
    errno.EMFILE: "the limit on open files is reached (raise RLIMIT_NOFILE)",
}
