"""Huge pages for fio, which takes none unless the host has set them aside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NR_HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")
MEMINFO = Path("/proc/meminfo")
_RESTORE = 'read -r _; printf %s "$1" > "$2"'
"""Its input ends with this process, however that ends."""


@contextmanager
def set_aside(
    size: int, nr_hugepages: Path = NR_HUGEPAGES, meminfo: Path = MEMINFO
) -> Iterator[str]:
    """Have `size` bytes of free huge pages within the context; restore their number after it.

    Yields the reason why there are not enough; '' if there are.
    """
    page_bytes, free = _page_bytes_and_free(meminfo)
    missing = -(-size // page_bytes) - free if page_bytes else 0
    if not page_bytes:
        yield f"{meminfo} states no size of huge pages"
        return
    if missing <= 0:
        yield ""
        return
    try:
        before = nr_hugepages.read_text(encoding="ascii").strip()
        nr_hugepages.write_text(before, encoding="ascii")  # shows whether it may be changed
    except OSError as error:
        yield f"{missing} huge pages are missing, and could not be set aside: {error}"
        return
    with _restored(nr_hugepages, before):
        nr_hugepages.write_text(str(int(before) + missing), encoding="ascii")
        free = _page_bytes_and_free(meminfo)[1]
        is_enough = free * page_bytes >= size
        yield "" if is_enough else f"the kernel set aside too little: {free} huge pages are free"


@contextmanager
def _restored(path: Path, text: str) -> Iterator[None]:
    """Write a text to a file after the context, also if this process is killed in it."""
    command = ["/bin/sh", "-c", _RESTORE, "sh", text, str(path)]
    with subprocess.Popen(  # noqa: S603 - an argument vector of ours
        command, stdin=subprocess.PIPE, start_new_session=True
    ) as shell:
        try:
            yield
        finally:
            shell.communicate()
            if shell.returncode:
                raise OSError(f"{path} could not be restored to {text}")


def _page_bytes_and_free(meminfo: Path) -> tuple[int, int]:
    """Return the size of a huge page (0 if the kernel has none), and the number of free ones."""
    lines = meminfo.read_text(encoding="ascii").splitlines()
    values = {name: words.split()[0] for name, _, words in (line.partition(":") for line in lines)}
    return int(values.get("Hugepagesize", 0)) * 1024, int(values.get("HugePages_Free", 0))
