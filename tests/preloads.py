"""Libraries for LD_PRELOAD, built in the test: two that fake storage, and a harmless one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NO_DROP = """
#include <sys/types.h>
int posix_fadvise(int file, off_t offset, off_t length, int advice) { return 0; }
int posix_fadvise64(int file, off_t offset, off_t length, int advice) { return 0; }
"""
"""A drop of cached pages that does nothing."""
NO_FLUSH = """
int fsync(int file) { return 0; }
int fdatasync(int file) { return 0; }
"""
"""Flushes that do nothing."""
ALLOCATOR = """
#include <stddef.h>
extern void *__libc_malloc(size_t size);
void *malloc(size_t size) { return __libc_malloc(size); }
"""
"""An allocator, which takes its memory from the C library's."""
AUDITOR = """
#define _GNU_SOURCE
#include <link.h>
#include <string.h>
static int nothing(int file) { return 0; }
unsigned int la_version(unsigned int version) { return version; }
unsigned int la_objopen(struct link_map *map, Lmid_t lmid, uintptr_t *cookie) {
  return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned int index, uintptr_t *from, uintptr_t *to,
                       unsigned int *flags, const char *name) {
  int is_flush = !strcmp(name, "fsync") || !strcmp(name, "fdatasync");
  return is_flush ? (uintptr_t)nothing : symbol->st_value;
}
"""
"""Flushes that do nothing, by LD_AUDIT: the dynamic linker binds programs to them, and a look-up
still finds the C library's."""
HARMLESS = "int nothing_of_the_c_library(void) { return 0; }\n"


def build(folder: Path, source: str, name: str = "preloaded") -> Path:
    """Return a library made of C source; skip the test without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (cc)")
    library = folder / f"{name}.so"
    code = folder / f"{name}.c"
    code.write_text(source)
    command = [compiler, "-shared", "-fPIC", "-O0", str(code), "-o", str(library)]
    subprocess.run(command, check=True)
    return library


def output_with(library: Path, script: str) -> str:
    """Return what a Python script prints that starts with a preloaded library."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
