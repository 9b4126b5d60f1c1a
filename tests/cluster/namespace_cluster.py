"""Cluster of three hosts on one machine: each has its own network, name and filesystems.

The cluster is a process namespace whose first process reads from a pipe of the test session. All
other namespaces have no name. When the session ends, the pipe closes, the kernel kills every
process of the cluster, and interfaces and mounts disappear with them. The machine's own network,
mounts and /etc are never changed.

The hosts share the machine's filesystem (as a cluster shares its home directories), process
numbers, the page cache and the cores.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

HOSTS = ("h1", "h2", "h3")
INTERFACE = "eth0"
PRIVATE_BYTES = 256 << 20
NEEDED = ("ip", "unshare", "nsenter", "mount")
_NAMESPACE = "namespace"
"""File with the process namespace of the cluster."""
_BEFORE = "before"
"""File with the interfaces of these names that existed before the cluster."""
_ERRORS = "errors"
"""File with the errors of the cluster's start."""
_BRIDGE = "br0"
_MAKING_S = 60

_MAKE = f"""
set -eu
cd "$1"
exec 2> {_ERRORS}
readlink /proc/self/ns/pid > {_NAMESPACE}
ip link add {_BRIDGE} type bridge
ip link set {_BRIDGE} up
number=0
for host in {" ".join(HOSTS)}; do
    number=$((number + 1))
    unshare --net --uts --mount --propagation private sh -ec "
        hostname $host
        mount -t tmpfs -o size={PRIVATE_BYTES} tmpfs private
        mount -t tmpfs tmpfs /dev/shm
        mount -t tmpfs tmpfs /run
        mount --bind hosts /etc/hosts
        mkdir private/tmp /run/sshd
        ip link set lo up
        echo \\$\\$ > $host.pid
        exec sleep infinity" &
    while ! test -s $host.pid; do
        kill -0 $! || {{ echo "$host ended while it was made" >&2; exit 1; }}
        sleep 0.01
    done
    ln -s $host.pid 10.77.0.$number.pid
    ip link add $host type veth peer name {INTERFACE} netns $(cat $host.pid)
    ip link set $host master {_BRIDGE} up
    ./enter $host sh -ec "
        ip addr add 10.77.0.$number/24 dev {INTERFACE}
        ip link set {INTERFACE} up"
done
echo ready
exec env --ignore-signal=CHLD cat
"""
"""Program of the cluster's first process; it ignores SIGCHLD and so leaves no zombies."""

_PROBE = f"""
ip link add {_BRIDGE} type bridge
ip link add {HOSTS[0]} type veth peer name {INTERFACE}
ip link set {HOSTS[0]} master {_BRIDGE}
ip link del {HOSTS[0]}
ip link del {_BRIDGE}
"""

_ENTER = """#!/bin/sh
# Runs a command on a host: enter HOST COMMAND...
host=$1; shift
exec nsenter --target "$(cat '{folder}'/"$host".pid)" --net --uts --mount -- "$@"
"""

_AGENT = """#!/bin/sh
# Replaces ssh: a login on another host without this host's environment.
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$1; shift
exec '{folder}'/enter "$host" env -i {login} /bin/sh -c "$*"
"""


def why_not() -> str:
    """Return why no cluster can run on this machine; '' if it can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    lacking = [program for program in NEEDED if shutil.which(program) is None]
    if lacking:
        return f"needs {', '.join(lacking)} (iproute2, util-linux, mount)"
    namespaces = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc"]
    for what, probe in (("namespaces", "true"), ("a bridge and veth", _PROBE)):
        command = [*namespaces, "sh", "-ec", probe]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"needs {what}: {done.stderr.strip()}"
    return ""


class NamespaceCluster:
    """The running hosts; `close` ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Directory shared by all hosts."""
        self.private = folder / "private"
        """Mount point of a small filesystem that each host has for itself."""
        self.agent = folder / "agent"
        """Program that replaces ssh."""
        self.login = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.private),
            "TMPDIR": str(self.private / "tmp"),
            "LANG": "C.UTF-8",
        }
        """Environment of a login on a host."""
        self._mounted: list[tuple[str, Path]] = []
        self._started: list[subprocess.Popen[str]] = []
        self._services: list[subprocess.Popen[str]] = []
        self._write()
        (folder / _BEFORE).write_text("\n".join(_named()))
        self._parent = subprocess.Popen(
            [
                *("unshare", "--net", "--pid", "--mount", "--propagation", "private"),
                *("--fork", "--mount-proc", "--", "sh", "-c", _MAKE, "cluster", str(folder)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._parent.stdout is not None
        ready, _, _ = select.select([self._parent.stdout], [], [], _MAKING_S)
        if not ready or self._parent.stdout.readline() != b"ready\n":
            errors = (folder / _ERRORS).read_text()
            for process in psutil.Process(self._parent.pid).children():
                process.kill()
            self.close()
            raise RuntimeError(f"the cluster could not be made: {errors}")
        (self._init,) = psutil.Process(self._parent.pid).children()
        self._anchors = {
            self._net(process.pid): process
            for process in self._init.children()
            if process.cmdline() == ["sleep", "infinity"]
        }
        self._net_of = {
            self.run(host, "readlink", "/proc/self/ns/net").stdout.strip(): host for host in HOSTS
        }

    def _write(self) -> None:
        folder = shlex.quote(str(self.folder)).strip("'")
        login = " ".join(shlex.quote(f"{name}={value}") for name, value in self.login.items())
        lines = ["127.0.0.1 localhost", *(f"10.77.0.{n} h{n}" for n in range(1, len(HOSTS) + 1))]
        self.private.mkdir()
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        for name, text in (("enter", _ENTER), ("agent", _AGENT)):
            path = self.folder / name
            path.write_text(text.format(folder=folder, login=login))
            path.chmod(0o755)

    def start(
        self,
        host: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        output: IO[str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command on a host, with a login's environment and the given variables."""
        variables = {**self.login, **(environment or {})}
        process = subprocess.Popen(
            [
                *("nsenter", "--target", str(self._init.pid), "--pid", "--net", "--mount", "--"),
                *(str(self.folder / "enter"), host),
                *("env", f"--chdir={directory or self.folder}", "-i"),
                *(f"{name}={value}" for name, value in variables.items()),
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._started.append(process)
        return process

    def serve(
        self, host: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a service on a host, which runs until `end_services`."""
        with (self.folder / f"{command[0]}-{host}.log").open("w") as output:
            service = self.start(host, command, environment=environment, output=output)
        self._services.append(service)

    def end_services(self) -> None:
        """End the services in reverse order."""
        while self._services:
            service = self._services.pop()
            for process in psutil.Process(service.pid).children(recursive=True):
                _kill(process)
            service.wait(timeout=30)

    def run(
        self,
        host: str,
        *command: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        timeout_s: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host; output and errors are one text."""
        process = self.start(host, command, environment=environment, directory=directory)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_all()
            output, _ = process.communicate()
            pytest.fail(f"not at its end after {timeout_s:g} s: {shlex.join(command)}\n{output}")
        return subprocess.CompletedProcess(command, process.returncode, output)

    def do(self, host: str, *command: str) -> str:
        """Run a command on a host that must succeed, and return what it printed."""
        done = self.run(host, *command)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def mount(self, host: str, target: Path, *arguments: str) -> None:
        """Mount a filesystem on one host until the end of the test."""
        self.do(host, "mount", *arguments, str(target))
        self._mounted.append((host, target))

    def bind(self, host: str, target: Path, source: Path) -> None:
        """Replace a shared file or directory on one host until the end of the test."""
        self.mount(host, target, "--bind", str(source))

    @contextmanager
    def cut_off(self, host: str) -> Iterator[None]:
        """Disconnect a host from the network inside the context."""
        self.do(host, "ip", "link", "set", INTERFACE, "down")
        try:
            yield
        finally:
            self.do(host, "ip", "link", "set", INTERFACE, "up")

    def reset(self) -> None:
        """Reset the hosts: no process, no mount, nothing in `private`."""
        self.kill_all()
        while self._started:
            process = self._started.pop()
            if process.returncode is None:
                process.communicate(timeout=30)
        while self._mounted:
            host, target = self._mounted.pop()
            self.do(host, "umount", str(target))
        for host in HOSTS:
            self.do(host, "sh", "-c", f"rm -rf {self.private}/* && mkdir {self.private}/tmp")

    def seen_by(self, host: str, path: Path) -> Path:
        """Return the path on this machine of a file or directory of a host."""
        (anchor,) = (k for net, k in self._anchors.items() if self._net_of[net] == host)
        return Path(f"/proc/{anchor.pid}/root{path}")

    def processes(self, *hosts: str) -> list[psutil.Process]:
        """Return the processes on these hosts (default: all) without services."""
        kept = {process.pid for process in self._anchors.values()}
        for service in self._services:
            kept |= {child.pid for child in psutil.Process(service.pid).children(recursive=True)}
        return [
            process
            for process in psutil.process_iter()
            if process.pid not in kept
            and self._net_of.get(self._net(process.pid)) in (hosts or HOSTS)
        ]

    def kill_all(self) -> None:
        """Kill all processes on the hosts."""
        for process in self.processes():
            _kill(process)

    def close(self) -> None:
        """End every process of the cluster, and so its interfaces and mounts."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(timeout=30)
        self._parent.stdout.close()

    @staticmethod
    def _net(pid: int) -> str:
        try:
            return str(Path(f"/proc/{pid}/ns/net").readlink())
        except OSError:
            return ""  # it ended meanwhile


def remains(folder: Path) -> list[str]:
    """Return the remaining processes, mounts and interfaces of a cluster in this folder."""
    words = str(folder)
    namespace = (folder / _NAMESPACE).read_text().strip()
    left = [
        f"process {process.pid}: {shlex.join(command_of(process))}"
        for process in psutil.process_iter()
        if _pids_of(process) == namespace or any(words in word for word in command_of(process))
    ]
    left += [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if words in line
    ]
    before = (folder / _BEFORE).read_text().splitlines()
    return left + [name for name in _named() if name not in before]


def _named() -> list[str]:
    """Return the interfaces of this machine with a cluster's names, and its host name."""
    interfaces = [Path("/sys/class/net", name) for name in (_BRIDGE, *HOSTS)]
    namespaces = [path for place in ("/etc", "/run") for path in Path(place, "netns").rglob("*")]
    names = Path("/etc/hosts").read_text().splitlines()
    return [
        *(str(path) for path in interfaces + namespaces if path.exists()),
        *(f"/etc/hosts: {line}" for line in names),
        f"host name {os.uname().nodename}",
    ]


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):  # it ended meanwhile
        process.kill()


def _pids_of(process: psutil.Process) -> str:
    """Return the process namespace of a process."""
    try:
        return str(Path(f"/proc/{process.pid}/ns/pid").readlink())
    except OSError:
        return ""  # it ended meanwhile


def command_of(process: psutil.Process) -> list[str]:
    """Return the words of a process's command line; none if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def main() -> None:
    """Run a cluster in the given folder until killed, for tests of the cluster."""
    cluster = NamespaceCluster(Path(sys.argv[1]))
    cluster.start("h2", ["sleep", "1000"])
    sys.stdout.write("made\n")
    sys.stdout.flush()
    cluster.run("h1", "sleep", "1000", timeout_s=1000)


if __name__ == "__main__":
    main()
