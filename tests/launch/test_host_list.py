"""Lists of hosts on the command line and in files of several launchers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import InvalidFileError, InvalidInputError
from mlpstorage_bench.launch.host_list import MOST_HOSTS, parse_hosts
from mlpstorage_bench.launch.hosts import Host

names = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z0-9]{1,5})?", fullmatch=True)
hosts = st.builds(Host, names, st.none() | st.integers(1, 512))


def test_repeated_hosts_options_keep_their_order() -> None:
    assert parse_hosts(["h1:4,h2", "h3:2"]) == (Host("h1", 4), Host("h2"), Host("h3", 2))


@pytest.mark.slow
@given(st.lists(hosts, min_size=1, unique_by=lambda host: host.name))
def test_formatted_hosts_parse_to_the_same_hosts(given_hosts: list[Host]) -> None:
    assert parse_hosts([",".join(map(str, given_hosts))]) == tuple(given_hosts)


def test_hostfile_accepts_our_syntax_and_open_mpis(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("h1:4  # first\n\n# none\nh2 slots=2\nh3\n")
    assert parse_hosts([f"@{file}"]) == (Host("h1", 4), Host("h2", 2), Host("h3"))


@pytest.mark.parametrize(
    "value",
    ["", "h1,,h2", "h1:", "h1:0", "h1:-1", "h1:x", "h 1", "h1;ls", "$(id)", "-h1", "h1:2:3"],
)
def test_invalid_host_syntax_is_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-hosts: got .*accepted: NAME, NAME:SLOTS"):
        parse_hosts([value])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("node[01-03]", "node01 node02 node03"),
        ("node[8-11]:2", "node8:2 node9:2 node10:2 node11:2"),
        ("n[1,3-4],m", "n1 n3 n4 m"),
        ("rack[1-2]n[1-2].lan", "rack1n1.lan rack1n2.lan rack2n1.lan rack2n2.lan"),
        ("[::1],[::2]:4", "[::1] [::2]:4"),
        ("node1:ppn=4", "node1:4"),
    ],
)
def test_ranges_and_addresses_are_hosts(value: str, found: str) -> None:
    assert " ".join(map(str, parse_hosts([value]))) == found


@pytest.mark.parametrize(
    "value",
    [
        *("node[]", "node[3-1]", "node[a-b]", "node[1-2", "node1-2]", "node[1--2]", "[1-2]"),
        *("h1:100001", "h1:999999999999", "node[1-2]-", "[::zz]", "h\u0661", "n[1-\u0662]"),
        *("n[1]" * 5, "n" * 64, "n." * 127 + "n", "a..b", "a.", "a-", "h1:ppn=x"),
    ],
)
def test_range_without_meaning_is_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match="--mlps-hosts: got"):
        parse_hosts([value])


@pytest.mark.parametrize(
    "value", ["n[1-10001]", "n[1-999999999]", "n[1-999][1-999][1-999]", "a[1-9000],b[1-9000]"]
)
def test_number_of_hosts_has_a_limit(value: str) -> None:
    with pytest.raises(InvalidInputError, match=f"at most {MOST_HOSTS} hosts"):
        parse_hosts([value])


@pytest.mark.parametrize(
    ("value", "both"),
    [
        ("h1,h1", "h1: listed twice"),
        ("N1,n1", "N1 and n1: listed twice; write N1:SLOTS"),
        ("[::1],[0:0:0:0:0:0:0:1]", "listed twice"),
        ("n[1-3],n2:4", "n2: listed twice"),
    ],
)
def test_host_listed_twice_is_refused(value: str, both: str) -> None:
    with pytest.raises(InvalidInputError, match=both.replace("[", r"\[")):
        parse_hosts(value.split(","))


def read(folder: Path, content: str) -> str:
    file = folder / "hosts"
    file.write_text(content, newline="")
    return " ".join(map(str, parse_hosts([f"@{file}"])))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("h1:4  # first\n\n# none\nh2 slots=2\nh3\n", "h1:4 h2:2 h3"),
        ("n1 slots=2 max_slots=4  # two\n", "n1:2"),
        ("n1 slots = 2 max-slots = 4\n", "n1:2"),
        ("n1 max_slots=4\nn2\n", "n1:4 n2"),
        ("n1\nn1\nn2\nN1\nn2\n", "n1:3 n2:2"),
        ("n1 slots=2\nn1 slots=3\n", "n1:5"),
        ("node01:ppn=4\nnode02:ppn=4\n", "node01:4 node02:4"),
        ("localhost:2\n", "localhost:2"),
        ("node[01-02] slots=8\n", "node01:8 node02:8"),
        ("\ufeffnode01 slots=2\r\nnode02\tslots=2\r\n", "node01:2 node02:2"),
    ],
)
def test_host_files_of_launchers_are_read(tmp_path: Path, content: str, found: str) -> None:
    assert read(tmp_path, content) == found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "The file names no host"),
        ("# nothing\n", "The file names no host"),
        ("h1\nh1 h2\n", "hosts, line 2'.*'h2' follows the host: write one host a line"),
        ("h1 slots=x\n", "hosts, line 1, slots'.*got 'x' slots"),
        ("h1 slots=\n", "hosts, line 1, slots'"),
        ("h1 slots=4 max_slots=2\n", "4 slots are more than max_slots=2"),
        ("h1 slots=4 slots=4\n", "hosts, line 1, slots'.*The line gives slots twice"),
        ("h1 user=x\n", "hosts, line 1, user'.*A host has slots and max_slots"),
        ("h1\n;h2\n", "hosts, line 2'.*';h2' is no host"),
        ("n[1-10001]\n", "more than 10000 hosts"),
        ("n[1-10000]\n" * 200, "more than 10000 hosts or 1000000 slots"),
        ("h\0\n", "is no host"),
    ],
)
def test_line_that_names_no_host_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidFileError, match=message):
        read(tmp_path, content)


def test_host_file_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("missing", "No such file"), ("pipe", "a pipe"), ("x" * 300, "too long")):
        with pytest.raises(InvalidFileError, match=f"--mlps-hosts: got .*{reason}"):
            parse_hosts([f"@{tmp_path / name}"])


@pytest.mark.long
@pytest.mark.parametrize("flag", ["--mlps-hosts", "--hosts"])
@pytest.mark.parametrize("between", [" ", "="])
def test_host_file_after_a_blank_is_the_option_s_value(
    pytester: pytest.Pytester, flag: str, between: str
) -> None:
    (pytester.path / "hosts3").write_text("localhost\nn2  # second\nn3\n")
    pytester.makepyfile("def test_something(): raise AssertionError")
    arguments = f"{flag}{between}@hosts3".split(" ")
    result = pytester.runpytest(*arguments, "--mlps-mode=whatif")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["command: *-n 3 -host localhost:1,n2:1,n3:1 *"])
