"""Lists of hosts from users: on the command line and in files, in the forms of several launchers.

| form | in |
|---|---|
| `node1`, `node1:4` | the option, and files of MPICH and Slurm |
| `node[01-04,7]`, `node[01-04]:4` | the option and files: the hosts of these numbers |
| `node1 slots=4 max_slots=8` | files of Open MPI; the slots of several lines of a host add up |
| `node1:ppn=4` | files made from a PBS request |
| `node1` in several lines | PBS's node file: a slot each |
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.inputs.files import open_lines
from mlpstorage_bench.launch.hosts import HOSTS_OPTION, MOST_RANKS, Host
from mlpstorage_bench.paths import InputFile

MOST_HOSTS = 10_000
MOST_SLOTS = 100_000
_MOST_BYTES = 16 << 20
"""Largest file of hosts."""
_LONGEST_ENTRY = 1000
_MOST_RANGES = 4
"""Ranges in one name."""
_ACCEPTED = (
    "NAME, NAME:SLOTS, NAME[01-04], a comma list of these, or @FILE with one of these a line"
)
_ENTRY = re.compile(
    r"(?P<name>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]|\[[0-9,-]+\])*)"
    r"(?::(?:ppn=)?(?P<slots>[0-9]+))?"
)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
"""Part of a name between dots, of at most 63 characters (RFC 1123, and underscores)."""
_NAME = re.compile(rf"\[[0-9A-Fa-f:]+\]|(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_RANGES = re.compile(r"\[([0-9,-]+)\]")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_SEPARATORS = re.compile(r"(\[[^\[\]]*\]|,)")
_ATTRIBUTE = re.compile(r"(?P<key>[A-Za-z_-]+)\s*=\s*(?P<value>\S*)")


class HostError(ValueError):
    """An entry names no host that is accepted; `field` is its part at fault."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field


@dataclass(frozen=True)
class _Entry:
    """Hosts of one entry, with the slots of each if it gives them."""

    names: tuple[str, ...]
    slots: int | None

    @cached_property
    def hosts(self) -> Mapping[str, Host]:
        """The hosts by what their names have in common."""
        return {_identity(name): Host(name, self.slots) for name in self.names}


def parse_hosts(values: Sequence[str]) -> tuple[Host, ...]:
    """Parse every occurrence of the hosts option: comma lists and @hostfiles, in order."""
    hosts: list[Host] = []
    for value in values:
        hosts += _read_hostfile(value) if value.startswith("@") else _parse_list(value)
        if len(hosts) > MOST_HOSTS:
            raise InvalidInputError(HOSTS_OPTION, value, f"at most {MOST_HOSTS} hosts")
    seen: dict[str, Host] = {}
    for host in hosts:
        same = seen.setdefault(_identity(host.name), host)
        if same is not host:
            both = host.name if same.name == host.name else f"{same.name} and {host.name}"
            raise InvalidInputError(
                HOSTS_OPTION,
                ",".join(str(one) for one in hosts),
                "each host once; case does not tell names apart",
                hint=f"{both}: listed twice; write {same.name}:SLOTS to put several ranks on it",
            )
    return tuple(hosts)


def _identity(name: str) -> str:
    """Return what two names of one host have in common: case, and how an address is written."""
    if name.startswith("["):
        return str(ip_address(name.strip("[]")))
    return name.lower()


def _parse_list(value: str) -> list[Host]:
    try:
        entries = [_parse(item.strip()) for item in _items(value)]
        return [Host(name, entry.slots) for entry in entries for name in entry.names]
    except HostError as error:
        raise InvalidInputError(HOSTS_OPTION, value, _ACCEPTED, hint=error.problem) from error


def _items(value: str) -> Iterator[str]:
    """Yield the items between the commas that are outside of brackets."""
    item = ""
    for part in _SEPARATORS.split(value):
        if part == ",":
            yield item
            item = ""
        else:
            item += part
    yield item


def _read_hostfile(value: str) -> list[Host]:
    """Read a file of hosts; several lines of one host add up to its slots."""
    hosts: dict[str, Host] = {}
    entries: dict[str, _Entry] = {}
    """Text of a line → its hosts: node files repeat a line for each slot."""
    listed = 0
    with open_lines(InputFile(HOSTS_OPTION, Path(value[1:]), _ACCEPTED), _MOST_BYTES) as lines:
        for line in lines:
            text = line.split("#", 1)[0].strip()
            if not text:
                continue
            try:
                entry = entries.get(text) or entries.setdefault(text, _parse_line(text))
            except HostError as error:
                lines.refuse(error.problem, error.field)
            listed += len(entry.names)
            for identity, host in entry.hosts.items():
                first = hosts.get(identity)
                slots = host.slots if first is None else (first.slots or 1) + (host.slots or 1)
                hosts[identity] = Host(host.name if first is None else first.name, slots)
            if listed > MOST_RANKS or len(hosts) > MOST_HOSTS:
                lines.refuse(f"The file names more than {MOST_HOSTS} hosts or {MOST_RANKS} slots")
        if not hosts:
            lines.refuse("The file names no host")
    return list(hosts.values())


def _parse_line(text: str) -> _Entry:
    """Return the hosts of a line; Open MPI's attributes follow the name."""
    first, *others = text.split(maxsplit=1)
    entry, rest = _parse(first), "".join(others)
    attributes: dict[str, int] = {}
    while rest := rest.strip():
        match = _ATTRIBUTE.match(rest)
        if match is None:
            raise HostError(f"{rest[:50]!r} follows the host: write one host a line")
        key = match["key"].lower().replace("-", "_")
        if key not in ("slots", "max_slots"):
            raise HostError("A host has slots and max_slots, and nothing else", match["key"])
        if key in attributes:
            raise HostError(f"The line gives {key} twice", match["key"])
        attributes[key] = _slots(match["value"], match["key"])
        rest = rest[match.end() :]
    most = attributes.get("max_slots")
    slots = attributes.get("slots", entry.slots if entry.slots is not None else most)
    if most is not None and slots is not None and slots > most:
        problem = f"{slots} slots are more than max_slots={most}: lower one or raise the other"
        raise HostError(problem, "slots")
    return _Entry(entry.names, slots)


def _parse(item: str) -> _Entry:
    match = None if len(item) > _LONGEST_ENTRY else _ENTRY.fullmatch(item)
    if match is None:
        is_of_file = _ATTRIBUTE.search(item[:_LONGEST_ENTRY]) is not None
        hint = ": that form is for files, write NAME:SLOTS here" if is_of_file else ""
        raise HostError(f"{item[:100]!r} is no host{hint}")
    names = tuple(itertools.islice(_expanded(match["name"]), MOST_HOSTS + 1))
    for name in names:
        if not _NAME.fullmatch(name):
            raise HostError(f"{name[:100]!r} is no host")
        if name.startswith("["):
            _check_address(name)
    slots = match["slots"]
    return _Entry(names, None if slots is None else _slots(slots, "slots"))


def _check_address(name: str) -> None:
    try:
        ip_address(name.strip("[]"))
    except ValueError as error:
        raise HostError(f"{name!r} is no address") from error


def _expanded(name: str) -> Iterator[str]:
    """Yield the names of the ranges in brackets: node[01-03] is node01, node02, node03."""
    parts = [name] if name.startswith("[") else _RANGES.split(name)
    if len(parts) > 2 * _MOST_RANGES + 1:
        raise HostError(f"{name[:100]!r} has more than {_MOST_RANGES} ranges")
    choices: list[Iterable[str]] = [
        tuple(itertools.islice(_numbers(part), MOST_HOSTS + 1)) if number % 2 else (part,)
        for number, part in enumerate(parts)
    ]
    yield from map("".join, itertools.product(*choices))


def _numbers(ranges: str) -> Iterator[str]:
    """Yield the numbers of ranges like `01-04,7`, as long as the first number is written."""
    for part in ranges.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise HostError(f"[{ranges[:50]}] is no range: write [01-04] or [1,3]")
        first, last = match[1], match[2] or match[1]
        if int(last) < int(first):
            raise HostError(f"[{part}] ends before it begins: write the lower number first")
        for number in range(int(first), int(last) + 1):
            yield f"{number:0{len(first)}d}"


def _slots(text: str, field: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_SLOTS:
        raise HostError(
            f"got {text[:50]!r} slots; accepted: a whole number from 1 to {MOST_SLOTS}", field
        )
    return int(text)
