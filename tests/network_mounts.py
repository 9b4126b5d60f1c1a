"""Network filesystems of this host's loopback: sshfs, and GlusterFS without its management daemon.

Each is a context manager that skips the test where it cannot be mounted.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import read_mountinfo

SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
_PATIENCE_S = 60
"""Time for a daemon to start on a busy host."""

_BRICK = """\
volume posix
 type storage/posix
 option directory {brick}
end-volume
volume locks
 type features/locks
 subvolumes posix
end-volume
volume server
 type protocol/server
 option transport-type tcp
 option transport.socket.bind-address 127.0.0.1
 option transport.socket.listen-port {port}
 option auth.addr.locks.allow 127.0.0.1
 subvolumes locks
end-volume
"""
_CLIENT = """\
volume kv-client-0
 type protocol/client
 option transport-type tcp
 option remote-host 127.0.0.1
 option remote-port {port}
 option remote-subvolume locks
end-volume
volume kv-io-cache
 type performance/io-cache
 option cache-size 256MB
 option cache-timeout 60
 subvolumes kv-client-0
end-volume
volume meta-autoload
 type meta
 subvolumes kv-io-cache
end-volume
"""


@contextmanager
def sshfs(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a directory by sshfs; an SFTP server answers on loopback, without SSH."""
    program = shutil.which("sshfs")
    if program is None or not SFTP_SERVER.exists():
        pytest.skip("needs sshfs and sftp-server: apt-get install sshfs openssh-sftp-server")
    remote, shown = folder / "remote", folder / "shown"
    remote.mkdir()
    shown.mkdir()
    with _sftp_server() as port:
        arguments = ("-o", ",".join((f"directport={port}", *options)))
        _mount([program, *arguments, f"127.0.0.1:{remote}", str(shown)])
        try:
            yield shown
        finally:
            _unmount(shown)


@contextmanager
def _sftp_server() -> Iterator[int]:
    """Serve SFTP to all who connect to a port of loopback; return the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        servers: list[subprocess.Popen[bytes]] = []

        def serve() -> None:
            with suppress(OSError):  # ends when the socket is shut down
                while True:
                    with listening.accept()[0] as connection:
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        pipe = connection.fileno()
                        servers.append(
                            subprocess.Popen([str(SFTP_SERVER)], stdin=pipe, stdout=pipe)
                        )

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for server in servers:
                _await_end(server)


def _await_end(server: subprocess.Popen[bytes]) -> None:
    """Wait until a server has no client any more; it does not outlive the wait."""
    try:
        server.wait(_PATIENCE_S)
    finally:
        server.kill()


@contextmanager
def bindfs(source: Path, folder: Path) -> Iterator[Path]:
    """Show a directory again by a filesystem that reads it through the page cache."""
    program = shutil.which("bindfs")
    if program is None:
        pytest.skip("needs bindfs: apt-get install bindfs")
    folder.mkdir()
    _mount([program, str(source), str(folder)])
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def gluster(folder: Path) -> Iterator[Path]:
    """Mount a volume of one brick, with a cache in its client."""
    programs = [shutil.which(name, path="/usr/sbin:/sbin") for name in ("glusterfsd", "glusterfs")]
    if None in programs:
        pytest.skip("needs GlusterFS: apt-get install glusterfs-client")
    brick, shown = folder / "brick", folder / "shown"
    brick.mkdir()
    shown.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    (folder / "brick.vol").write_text(_BRICK.format(brick=brick, port=port))
    (folder / "client.vol").write_text(_CLIENT.format(port=port))
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for program, name, place in (
            (programs[0], "brick", []),
            (programs[1], "client", [str(shown)]),
        ):
            command = [str(program), "--no-daemon", f"--volfile={folder}/{name}.vol"]
            command += [f"--log-file={folder}/{name}.log", f"--pid-file={folder}/{name}.pid"]
            daemons.append(subprocess.Popen([*command, *place]))
        _wait_for(shown, daemons[-1], folder / "client.log")
        yield shown
    finally:
        if _is_mounted(shown):
            _unmount(shown)
        for daemon in daemons:
            daemon.terminate()
            daemon.wait(_PATIENCE_S)


def _mount(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs FUSE: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    """Unmount a directory as soon as nothing uses it: a daemon above it may still be ending."""
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def _is_mounted(folder: Path) -> bool:
    return any(entry.mount.mount_point == str(folder) for entry in read_mountinfo())


def _wait_for(folder: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a directory is a mount that answers; skip if its daemon ends before."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (_is_mounted(folder) and _answers(folder)):
        if daemon.poll() is not None:
            pytest.skip(f"needs FUSE: {log.read_text()[-300:]}")
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _answers(folder: Path) -> bool:
    try:
        folder.stat()
    except OSError:
        return False
    return True
