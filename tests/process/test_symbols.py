"""Objects in which a process finds the functions that move and flush data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlpstorage_bench.process.symbols import FUNCTIONS, ResolvedFunctions, resolve_functions
from tests.preloads import ALLOCATOR, HARMLESS, NO_DROP, NO_FLUSH, build, output_with

SCRIPT = """
import json
from mlpstorage_bench.process.symbols import resolve_functions
print(json.dumps(resolve_functions().replaced))
"""


def test_functions_of_this_process_are_the_c_library_s() -> None:
    found = resolve_functions()
    assert found.replaced == {}
    assert found.problem == ""
    assert {*FUNCTIONS[:8], "preadv2", "pwritev2", "sync_file_range"} <= found.objects.keys()


def test_functions_of_two_objects_of_the_c_library_are_its_own() -> None:
    """Before glibc 2.34, `open` is in libpthread for programs that use it."""
    objects = {"open": "/lib/libpthread.so.0", "fsync": "/lib/libc.so.6", "pread": "/opt/a.so"}
    found = ResolvedFunctions(("/lib/libc.so.6", "/lib/libpthread.so.0"), objects)
    assert found.replaced == {"pread": "/opt/a.so"}


@pytest.mark.parametrize(
    ("source", "replaced"),
    [
        (NO_DROP, ["posix_fadvise", "posix_fadvise64"]),
        (NO_FLUSH, ["fdatasync", "fsync"]),
        (ALLOCATOR, []),
        (HARMLESS, []),
        ("long syscall(long number, ...) { return -1; }", ["syscall"]),
    ],
    ids=["no drop", "no flush", "allocator", "harmless", "syscall"],
)
def test_replaced_functions_are_named_with_their_library(
    tmp_path: Path, source: str, replaced: list[str]
) -> None:
    library = build(tmp_path, source)
    assert json.loads(output_with(library, SCRIPT)) == dict.fromkeys(replaced, str(library))
