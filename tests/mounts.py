"""Filesystems that tests mount: how one is made, and the end of a mount."""

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


def make_ext4(image: Path, *options: str) -> None:
    """Make a filesystem of 64 MiB in a file, which is mounted with the option `loop`."""
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", *options, str(image)], check=True)
