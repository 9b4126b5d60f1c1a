"""A results directory in which anybody left anything: it is named, and the rest answers."""

from __future__ import annotations

import copy
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.index import Index
from mlpstorage_bench.history.reading import NoRunError, read_metadata
from mlpstorage_bench.options.settings import gate_settings
from mlpstorage_bench.report.gate_report import gate_lines
from mlpstorage_bench.results.json_files import json_text, parse_json
from mlpstorage_bench.results.run_metadata import NoMetadataError, metadata_of
from mlpstorage_bench.results.schema_1 import upgraded_metadata
from mlpstorage_bench.session.gate_policy import GatePolicy
from tests.past_runs import OURS, leave, leave_run, run
from tests.shown import show
from tests.variants import first_of

HUGE = 10**30


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def link_to_a_directory(path: Path) -> None:
    path.symlink_to(path.parent)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def file_of_a_gibibyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def deep_json(path: Path) -> None:
    path.write_text('{"a":' * 100_000)


def deep_parameters(path: Path) -> None:
    path.write_text(
        json.dumps(OURS).replace('"options"', '"deep": ' + "[" * 500 + "]" * 500 + ', "options"')
    )


def number_of_a_million_digits(path: Path) -> None:
    path.write_text(json.dumps(OURS)[:-1] + ', "runtime": ' + "9" * 1_000_000 + "}")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (link_to_itself, "Too many levels of symbolic links"),
        (link_to_nothing, "No such file or directory"),
        (link_to_a_directory, "It is a directory, and no regular file"),
        (link_to_a_device, "It is a device, and no regular file"),
        (os.mkfifo, "It is a pipe, and no regular file"),
        (listening_socket, "It is a socket, and no regular file"),
        (file_of_a_gibibyte, "It has more than 268435456 bytes"),
        (deep_json, "It is no JSON"),
        (deep_parameters, "It is no JSON"),
        (number_of_a_million_digits, "It is no JSON"),
    ],
)
@pytest.mark.parametrize("place", ["", "20261101_120900"])
def test_file_that_cannot_be_read_is_named_each_time_and_the_rest_answers(
    tmp_path: Path, make: Callable[[Path], None], reason: str, place: str
) -> None:
    leave_run(tmp_path, 1)
    folder = tmp_path / place
    leave(folder, "kv_cache_20261101_120900", run(9))
    path = folder / "a_metadata.json"
    make(path)
    os.utime(folder, (1_700_000_000, 1_700_000_000))
    for _ in ("first", "with an index"):
        with History(tmp_path) as history:
            assert [past.run_id[-4:] for past in history.runs()] == ["0001", "0009"]
            (problem,) = history.problems
        assert problem.startswith(f"{path}: ")
        assert reason in problem


def test_names_that_are_not_text_are_named_and_the_rest_answers(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9")  # noqa: PTH118 - bytes
    os.mkdir(folder)  # noqa: PTH102 - bytes
    with open(os.path.join(os.fsencode(tmp_path), b"\xff_metadata.json"), "w") as file:  # noqa: PTH118, PTH123 - bytes
        json.dump(OURS, file)
    with History(tmp_path) as history:
        assert [past.run_id[-4:] for past in history.runs()] == ["0001"]
        assert all("its name is not UTF-8" in problem for problem in history.problems)
        assert len(history.problems) == 2


def test_names_with_any_character_and_any_number_of_them_are_kept(tmp_path: Path) -> None:
    content = run(1, own={"run_id": "r\0x", "cases": {}})
    values = {
        "read_gib_s": 1.0,
        "nul\0nul": 2.0,
        "'; --": 3.0,
        **dict.fromkeys(map(str, range(2000)), 4),
    }
    content["metrics"] = {"c\0d": values}
    leave(tmp_path, "x", content)
    with History(tmp_path) as history:
        (past,) = history.runs()
        assert set(history.metrics()) == set(values)
        assert history.pooled([past.run_id], "c\0d", "nul\0nul") == {"r\0x": 2.0}
        assert history.pooled([past.run_id], "c\0d", "'; --") == {"r\0x": 3.0}
        assert history.problems == []


@pytest.mark.slow
def test_directories_nested_beyond_pythons_recursion_limit_are_searched(
    tmp_path: Path, nested: Path
) -> None:
    leave_run(tmp_path, 1)
    with History(tmp_path) as history:
        assert [past.run_id[-4:] for past in history.runs()] == ["0001"]
        assert history.problems == []
    assert nested.is_dir()


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Path]:
    """A directory in a directory, and so on."""
    top = tmp_path / "d"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    yield top
    while (top / "d").exists():  # pytest cannot remove it
        (top / "d").rename(tmp_path / "below")
        top.rmdir()
        (tmp_path / "below").rename(top)


@pytest.mark.parametrize("year", [1969, 2400])
def test_file_of_any_time_is_listed_and_read_again(tmp_path: Path, year: int) -> None:
    path = leave_run(tmp_path, 1)
    moment = (year - 1970) * 31_556_952
    os.utime(path, (moment, moment))
    for status in ("passed", "failed"):
        path.write_text(json.dumps(run(1, status=status)))
        os.utime(path, (moment, moment))
        with History(tmp_path) as history:
            assert [past.status for past in history.runs()] == [status]


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """Act as a user without rights, in a directory of root's that everybody may read."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        leave_run(Path(folder), 1)
        leave(Path(folder) / "private", "x", run(2))
        (Path(folder) / "private").chmod(0o700)
        leave(Path(folder), "unreadable", run(3)).chmod(0o600)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_directory_and_file_of_another_user_are_named_and_the_rest_answers(
    as_nobody: Path,
) -> None:
    with History(as_nobody) as history:
        assert [past.run_id[-4:] for past in history.runs()] == ["0001"]
        assert sorted(history.problems) == [
            f"{as_nobody}/private: Permission denied",
            f"{as_nobody}/unreadable_metadata.json: Permission denied",
        ]
        assert "cannot be used: unable to open database file" in history.remarks[0]


def test_results_directory_of_another_user_has_no_runs_and_is_named(as_nobody: Path) -> None:
    with History(as_nobody / "private") as history:
        assert history.runs() == []
        assert history.problems == [f"{as_nobody}/private: Permission denied"]


def paths_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value in JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(inner, (*path, key))


def is_number(content: Any, path: tuple[str | int, ...]) -> bool:
    for key in path:
        content = content[key]
    return isinstance(content, int | float)


def replaced(content: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Return JSON with one value replaced."""
    if not path:
        return value
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


WHOLE = run(
    1,
    override_parameters={"trials": 3},
    runtime=1.5,
    system_info={"hosts": [{"hostname": "h", "cpu": {"model": "m"}, "memory": {"total": 1}}]},
    command_output_files=["a.json", {"command": "c", "stdout": "o", "stderr": "e"}],
    own={
        "run_id": "20261101_120100-0001",
        "schema_version": 2,
        "notes": ["a note"],
        "tests": [{"test": "t", "outcome": "passed", "duration_s": 1.0, "message": ""}],
        "gate": {"verdict": "passed", "refusals": {"2": "no baseline"}},
        "verdicts": [{"case": "1", "metric": "read_gib_s", "verdict": "passed", "p_value": 0.5}],
        "invocation": {"command": ["pytest"], "environment": {"PYTEST_ADDOPTS": None}},
        "working_directory": "/",
        "metrics": {"read_gib_s": {"unit": "GiB/s", "shown": "lists", "has_spread": True}},
        "process_id": 1,
        "tags": ["nightly"],
        "cases": {
            "1": {
                "test": "t",
                "workload_fingerprint": "7",
                "workload_fingerprint_parts": {"version": 1},
                "trials": [{"trial": 1, "metrics": {"read_gib_s": 1.0}}],
            }
        },
    },
)
WRONG = (5, "text", None, [5], {"a": 5})
WRONG_NUMBERS = (HUGE, -1, 1e308, 5e-324, float("inf"))


@pytest.mark.slow
@pytest.mark.parametrize("most", first_of(1, len(WRONG)))
def test_value_of_a_wrong_type_anywhere_is_refused_or_shown(tmp_path: Path, most: int) -> None:
    accepted = 0
    with Index(tmp_path, in_memory=True) as index:
        for number, path in enumerate(paths_in(WHOLE)):
            values = WRONG_NUMBERS if is_number(WHOLE, path) else WRONG
            first = number % len(values)
            for value in [*values[first:], *values[:first]][:most]:
                text = json.dumps(replaced(WHOLE, path, value))
                try:
                    metadata = metadata_of(upgraded_metadata(parse_json(text.encode())))
                except NoMetadataError:
                    continue
                show(metadata, index)
                accepted += 1
    assert accepted > 20 * most


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"mlpstorage": {"notes": 5}}, "mlpstorage.notes: got 5; accepted: a valid list"),
        ({"num_processes": HUGE}, "num_processes: got 1000000000000000000000000000000"),
        ({"mlpstorage": {"cases": {"1": {"trials": [{"trial": HUGE, "metrics": {}}]}}}}, "trial"),
        (
            {"mlpstorage": {"cases": {"1": {"trials": [{"trial": 1, "metrics": {"a_s": 1e99}}]}}}},
            "metrics: got {'a_s': 1e+99}; accepted: numbers from 1e-60 to 1e+60, unlike a_s",
        ),
        ({"runtime": HUGE, "hosts": "h"}, "hosts: got 'h'; accepted: a valid list"),
    ],
)
def test_message_names_the_field_what_it_has_and_what_is_accepted(
    tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    path = leave(tmp_path, "x", {**OURS, **changes})
    with pytest.raises(NoRunError) as error:
        read_metadata(path)
    assert str(error.value).startswith(f"{path}: no run's metadata: ")
    assert where in error.value.reason


@pytest.mark.slow
@pytest.mark.parametrize("values", [[1e60], [1e-60], [1e60, -1e60], [0.0, 1e-60], [0, -1, 1e60]])
@pytest.mark.filterwarnings("error")
def test_gate_judges_by_the_greatest_and_least_numbers(tmp_path: Path, values: list[float]) -> None:
    for number in range(7):
        trials = tuple(itertools.islice(itertools.cycle(values), number % 2, number % 2 + 3))
        candidate = leave(tmp_path / str(number), "x", run(number, trials=trials))
    kv_cache = registry.load(registry.DEFAULT)
    gate = GatePolicy(gate_settings({}), kv_cache, tmp_path)
    result = gate.judge(read_series("--mlps-gate", candidate))
    assert result.verdicts
    assert all(line.isprintable() for line in gate_lines(result))
    assert json_text(result.to_record().model_dump(mode="json"))


def test_run_of_the_reference_without_a_number_of_ranks_is_listed(tmp_path: Path) -> None:
    leave(tmp_path, "vector_database_20260724_090536", {**OURS, "num_processes": None})
    with History(tmp_path) as history:
        assert [past.num_processes for past in history.runs()] == [None]
        assert history.problems == []
