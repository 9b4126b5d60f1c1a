"""End of a mount that a test made."""

import subprocess
import time
from pathlib import Path


def unmount(folder: Path, within_s: float = 20.0) -> None:
    """Unmount a filesystem; AssertionError with its users if it stays busy for `within_s` seconds.

    A mount is busy for a moment whenever any process looks at it, as tests of other workers do
    that read what all mounts hold: one try is not enough.
    """
    deadline = time.monotonic() + within_s
    while True:
        done = subprocess.run(
            ["/bin/umount", str(folder)], check=False, capture_output=True, text=True
        )
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, f"{done.stderr.strip()}; open: {users_of(folder)}"
        time.sleep(0.05)


def users_of(folder: Path) -> list[str]:
    """Return the open files and working directories below a directory, with their processes."""
    found = []
    for link in (*Path("/proc").glob("[0-9]*/fd/*"), *Path("/proc").glob("[0-9]*/cwd")):
        try:
            target = link.readlink()
        except OSError:  # it has ended, or closed the file
            continue
        if target.is_relative_to(folder):
            found.append(f"{link}: {target}")
    return found
