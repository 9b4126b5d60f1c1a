"""The cluster of network namespaces: separate hosts, and nothing left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import namespace_cluster
from tests.cluster.namespace_cluster import HOSTS, NamespaceCluster, remains, why_not
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.hosts
PROJECT = Path(__file__).parent.parent.parent


def test_each_host_has_own_name_address_and_filesystems(
    cluster: NamespaceCluster,
) -> None:
    for number, host in enumerate(HOSTS, 1):
        assert cluster.do(host, "hostname") == f"{host}\n"
        assert f"10.77.0.{number} " in cluster.do(host, "getent", "hosts", host)
        assert f"inet 10.77.0.{number}/24" in cluster.do(host, "ip", "addr", "show", "eth0")
        cluster.do(host, "sh", "-c", f"echo {host} | tee {cluster.private}/name > /dev/shm/name")
    for host in HOSTS:
        text = f"{host}\n"
        assert cluster.do(host, "cat", f"{cluster.private}/name", "/dev/shm/name") == text * 2
        assert cluster.seen_by(host, cluster.private / "name").read_text() == text
        cluster.do(host, "rm", "/dev/shm/name")
    assert not (cluster.private / "name").exists()


def test_hosts_reach_only_each_other(cluster: NamespaceCluster) -> None:
    listen = "import socket; s = socket.create_server(('', 5000)); s.accept()[0].sendall(b'here')"
    server = cluster.start("h2", [sys.executable, "-c", listen])
    connect = (
        "import socket, time\n"
        "for _ in range(100):\n"
        "    try: print(socket.create_connection(('h2', 5000), 5).recv(9)); break\n"
        "    except ConnectionRefusedError: time.sleep(0.05)\n"
    )
    assert cluster.do("h1", sys.executable, "-c", connect) == "b'here'\n"
    server.communicate(timeout=20)
    assert server.returncode == 0
    (route,) = cluster.do("h1", "ip", "route").splitlines()
    assert route.startswith("10.77.0.0/24 dev eth0 ")


def test_agent_logs_in_without_our_environment(cluster: NamespaceCluster) -> None:
    asked = f"{cluster.agent} -x h2 hostname '&&' env"
    done = cluster.run("h1", "sh", "-c", asked, environment={"SECRET": "hush"})
    assert done.stdout.splitlines()[0] == "h2"
    names = {line.partition("=")[0] for line in done.stdout.splitlines()[1:]}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == set(cluster.login)


class Unmountable(NamespaceCluster):
    """A cluster without the directory that its hosts mount."""

    def _write(self) -> None:
        super()._write()
        (self.folder / "hosts").unlink()


def test_failed_cluster_start_reports_reason_and_leaves_nothing(tmp_path: Path) -> None:
    if why_not():
        pytest.skip(why_not())
    with pytest.raises(RuntimeError, match=r"mount: [^$]*h1 ended while it was made"):
        Unmountable(tmp_path)
    assert remains(tmp_path) == []


def test_existing_interfaces_are_not_reported_as_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "namespace").write_text("pid:[1]\n")
    (tmp_path / "before").write_text("/sys/class/net/br0")
    monkeypatch.setattr(
        namespace_cluster, "_named", lambda: ["/sys/class/net/br0", "/etc/netns/h2"]
    )
    assert remains(tmp_path) == ["/etc/netns/h2"]


def test_machine_without_bridges_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why_not():
        pytest.skip(why_not())
    (tmp_path / "ip").write_text("#!/bin/sh\necho Unknown device type. >&2\nexit 2\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert why_not() == "needs a bridge and veth: Unknown device type."


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_killed_session_leaves_nothing_of_the_cluster(
    tmp_path: Path, number: signal.Signals
) -> None:
    if why_not():
        pytest.skip(why_not())
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.namespace_cluster", str(tmp_path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"made\n"
        try:
            wait_until(lambda: any(": sleep 1000" in line for line in remains(tmp_path)))
            session.send_signal(number)
            session.wait(timeout=20)
            wait_until(lambda: remains(tmp_path) == [])
        finally:
            session.kill()
