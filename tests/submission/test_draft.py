"""Drafts of systems' descriptions: what is recorded, and marks that the schema refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.inputs.yaml_files import parse_yaml
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.submission.commented_yaml import Comment, Entry, Items, to_yaml
from mlpstorage_bench.submission.draft import draft
from mlpstorage_bench.submission.hardware import Drive, Port, hardware_of
from mlpstorage_bench.validation.system_description import NOT_FILLED, problems_of
from tests.submission.filling import filled

HOST: dict[str, Any] = {
    "hostname": "node1",
    "cpu": {"model": "A processor: fast # one", "num_cores": 32},
    "memory": {"total": 64 * 2**30},
    "network": [
        {"name": "lo", "up": True, "speed_mbps": None},
        {"name": "eth0", "up": True, "speed_mbps": 100_000},
        {"name": "eth1", "up": True, "speed_mbps": 100_000},
        {"name": "eth0.17", "up": True, "speed_mbps": 100_000},
        {"name": "ib0", "up": False, "speed_mbps": None},
        {"name": "docker0", "up": True, "speed_mbps": None},
    ],
    "disks": [
        {"name": "nvme0n1", "model": "A drive", "size_bytes": 7_680_000_000_000},
        {"name": "nvme1n1", "model": "A drive", "size_bytes": 7_680_000_000_000},
        {"name": "sda", "model": None, "size_bytes": 480_000_000_000},
        {"name": "sda1", "model": None, "size_bytes": 470_000_000_000},
        {"name": "dm-0", "model": "A drive", "size_bytes": 7_680_000_000_000},
    ],
    "system": {"os_release": {"NAME": "Linux", "VERSION_ID": "12"}},
}
REFERENCES: dict[str, Any] = {
    **{key: HOST[key] for key in ("hostname", "cpu", "memory")},
    "network": [{"interface_name": "eth0", "rx_bytes": 1}],
    "disks": [{"device_name": "nvme0n1", "reads_completed": 1}],
}


def metadata(*hosts: object) -> Document:
    return Document({"system_info": {"hosts": list(hosts)}}, Path("metadata.json"))


def description(text: str) -> Document:
    return Document(parse_yaml(text).content, Path("system.yaml"))


def test_hardware_is_what_was_recorded_without_volumes_and_virtual_interfaces() -> None:
    ((hardware, number),) = hardware_of(metadata(HOST, {**HOST, "hostname": "node2"}))
    assert number == 2
    assert (hardware.cpu_cores, hardware.memory_gib, hardware.os_version) == (32, 64.0, "12")
    assert dict(hardware.ports) == {
        Port(is_up=True, type="ethernet", speed_gbit=100.0): 2,
        Port(is_up=False, type="infiniband", speed_gbit=None): 1,
    }
    assert dict(hardware.drives) == {
        Drive("A drive", 7680.0, is_nvme=True): 2,
        Drive(None, 480.0, is_nvme=False): 1,
    }


def test_hosts_that_differ_are_clients_of_their_own() -> None:
    other = {**HOST, "memory": {"total": 128 * 2**30}}
    text = draft("array", "run 1", hardware_of(metadata(HOST, other, other)))
    clients = description(text).parts("system_under_test", "clients")
    assert [client.number("quantity") for client in clients] == [1, 2]


def test_draft_is_refused_only_for_what_is_to_be_filled_in() -> None:
    for hosts in ((HOST,), (REFERENCES,), ()):
        text = draft("array", "run 1", hardware_of(metadata(*hosts)))
        problems = problems_of(description(text))
        assert len(problems) == text.count(f": {NOT_FILLED}")
        assert all(": to be filled in: " in problem for problem in problems)


def test_filled_draft_is_accepted() -> None:
    for hosts in ((HOST,), (REFERENCES,), ()):
        text = filled(draft("array", "run 1", hardware_of(metadata(*hosts))))
        assert problems_of(description(text)) == []


def test_name_of_a_system_ends_no_comment() -> None:
    text = draft("array\ndeployment: cloud", "run 1", [])
    assert "\ndeployment: cloud" not in text


@pytest.mark.slow
@given(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_values_are_read_as_they_were_written(text: str, count: int, number: float) -> None:
    inner = (Entry("text", text, "a comment"), Comment("two\nlines"), Entry("count", count))
    block = (Entry("map", inner), Entry("list", Items((inner, inner))), Entry("number", number))
    expected = {"text": text, "count": count}
    content = parse_yaml(to_yaml(block)).content
    assert content == {"map": expected, "list": [expected, expected], "number": number}
