"""`--mlps-history-rm=ID` moves a run's directory to the trash, and refuses what it may not move."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError, MlpsError
from mlpstorage_bench.gate.baseline import find_baselines
from mlpstorage_bench.gate.baseline_choice import parse_choice
from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.trash import (
    NotRemovableError,
    TrashError,
    leaf_of,
    move_to_trash,
)
from mlpstorage_bench.process.identity import start_of
from tests.history.test_listing import answer_here
from tests.past_runs import REFERENCES, leave, leave_run, run

IDS = {number: f"20261101_12{number:02}00-{number:04x}" for number in range(1, 5)}
"""Ids of `tests.past_runs` by number."""


def ids(results: Path) -> list[str]:
    with History(results) as history:
        return [past.run_id for past in history.runs()]


def remove(results: Path, *given: str, options: tuple[str, ...] = ()) -> None:
    answer_here(results, *(f"--mlps-history-rm={one}" for one in given), *options)


def refusal(results: Path, *given: str, options: tuple[str, ...] = ()) -> str:
    """Return the message of a removal that is refused, which changes nothing."""
    before = tree(results)
    with pytest.raises(MlpsError) as refused:
        remove(results, *given, options=options)
    assert tree(results) == before
    return str(refused.value)


def tree(folder: Path) -> list[str]:
    """Return all files and directories below a folder but the history's index."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(name for name in found if not name.startswith(".mlps-history"))


def trashed(results: Path) -> list[Path]:
    return sorted((results / ".mlps/trash").glob("*/**/*_metadata.json"))


def test_removed_run_is_whole_in_the_trash_and_in_no_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [leave_run(tmp_path, number) for number in (1, 2, 3)]
    rank = paths[0].parent / "option_1" / "trial_1" / "rank_0.json"
    rank.parent.mkdir(parents=True)
    rank.write_text("{}")
    assert ids(tmp_path) == [IDS[1], IDS[2], IDS[3]]
    remove(tmp_path, IDS[1], IDS[3][:-2])
    assert ids(tmp_path) == [IDS[2]]
    (first, third) = trashed(tmp_path)
    time = first.relative_to(tmp_path / ".mlps/trash").parts[0]
    assert datetime.strptime(time, "%Y%m%d_%H%M%S")  # noqa: DTZ007 - a name
    for before, now in zip((paths[0], paths[2]), (first, third), strict=True):
        below = before.relative_to(tmp_path)
        assert now == tmp_path / ".mlps/trash" / time / below
        assert not before.parent.exists()
    assert (first.parent / "option_1" / "trial_1" / "rank_0.json").read_text() == "{}"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"moved {paths[0].parent.relative_to(tmp_path)}"
    assert printed[2].startswith(f"to {tmp_path}/.mlps/trash/{time};")


def test_run_that_is_moved_back_is_listed_again(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1)
    remove(tmp_path, IDS[1])
    assert ids(tmp_path) == []
    (there,) = trashed(tmp_path)
    there.parent.rename(path.parent)
    assert ids(tmp_path) == [IDS[1]]


def test_removed_runs_are_no_baseline(tmp_path: Path) -> None:
    paths = [leave_run(tmp_path, number) for number in (1, 2, 3)]
    candidate = read_series("run", paths[2])
    remove(tmp_path, IDS[1])
    with History(tmp_path) as history:
        baseline = find_baselines(candidate, parse_choice("last"), history)["1"]
    assert [earlier.run_id for earlier in baseline.runs] == [IDS[2]]


def test_dry_run_names_directories_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = leave_run(tmp_path, 1)
    before = tree(tmp_path)
    remove(tmp_path, IDS[1], options=("--mlps-dry-run",))
    assert tree(tmp_path) == before
    assert capsys.readouterr().out == f"would move {path.parent.relative_to(tmp_path)}\n"


def test_repeated_ids_are_one_run(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    remove(tmp_path, IDS[1], IDS[1], IDS[1][:-2])
    assert len(trashed(tmp_path)) == 1


def test_all_runs_are_checked_before_any_is_moved(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    leave_run(tmp_path, 2, status="running", hosts=["elsewhere"])
    message = refusal(tmp_path, IDS[1], IDS[2], "2027")
    assert f"got '{IDS[2]}'; accepted: a run of this package that has ended" in message
    assert "has died where that cannot be seen from here: process unknown on else" in message
    assert "got '2027'; accepted: the id of a run, its beginning, or latest" in message
    assert message.endswith("\nNothing was moved")


def test_running_run_is_refused_and_one_that_died_is_moved(tmp_path: Path) -> None:
    here = {"status": "running", "hosts": [os.uname().nodename]}
    own = {"process_id": os.getpid(), "process_start": start_of(os.getpid())}
    leave_run(tmp_path, 1, **here, own=own)
    leave_run(tmp_path, 2, **here, own={"process_id": 2**22 + 1})
    assert f"process {os.getpid()} on {os.uname().nodename}" in refusal(tmp_path, IDS[1])
    remove(tmp_path, IDS[2])
    assert ids(tmp_path) == [IDS[1]]


def test_run_of_the_reference_is_moved_only_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "closed/org/results/sys/training/unet3d/run/20250111_160323"
    leave(folder, "training_20250111_160323", REFERENCES)
    message = refusal(tmp_path, "20250111_160323")
    assert message.endswith("The reference has made it. To move it all the same, add --mlps-yes")
    remove(tmp_path, "20250111_160323", options=("--mlps-yes",))
    assert ids(tmp_path) == []


def test_id_of_several_directories_is_refused_with_their_names(tmp_path: Path) -> None:
    path = leave_run(tmp_path, 1)
    shutil.copytree(path.parent, tmp_path / "copy/20261101_120100")
    assert "2 directories have it: copy/20261101_120100, open/local" in refusal(tmp_path, IDS[1])


def test_metadata_outside_of_a_directory_of_its_own_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, "kv_cache_20261101_120100", run(1))
    leave(tmp_path / "mine", "kv_cache_20261101_120200", run(2))
    folder = tmp_path / "20261101_120300"
    leave(folder, "kv_cache_20261101_120300", run(3))
    leave(folder, "kv_cache_20261101_120400", run(4))
    for number in (1, 2):
        assert "It has no directory of its own, named YYYY" in refusal(tmp_path, IDS[number])
    assert "Its directory has other metadata too: kv_cache_2" in refusal(tmp_path, IDS[3])


def test_nothing_is_moved_through_a_link(tmp_path: Path) -> None:
    outside, results = tmp_path / "outside", tmp_path / "results"
    path = leave_run(outside, 1)
    leaf = path.parent
    linked = leave_run(results, 2)
    linked.rename(outside / "its.json")
    linked.symlink_to(outside / "its.json")
    assert "Its metadata is a link" in refusal(results, IDS[2])
    # a directory that is replaced by a link between the search and the move
    seen = path.lstat()
    (results / "open/local/results/other").symlink_to(outside)
    place = results / "open/local/results/other" / leaf.relative_to(outside) / path.name
    with pytest.raises(NotRemovableError, match="other: it is a link, and no directory"):
        leaf_of(results, place, seen)
    assert path.is_file()


def test_link_in_place_of_the_trash_is_refused(tmp_path: Path) -> None:
    outside, results = tmp_path / "outside", tmp_path / "results"
    leave_run(results, 1)
    outside.mkdir()
    (results / ".mlps").symlink_to(outside)
    assert "link, and no directory. Nothing was moved" in refusal(results, IDS[1])
    (results / ".mlps").unlink()
    (results / ".mlps").mkdir()
    (results / ".mlps/trash").symlink_to(outside)
    assert "link, and no directory. Nothing was moved" in refusal(results, IDS[1])
    assert not list(outside.iterdir())


def test_directory_that_was_replaced_after_the_check_is_not_moved(tmp_path: Path) -> None:
    first, second = leave_run(tmp_path, 1), leave_run(tmp_path, 2)
    leaves = [leaf_of(tmp_path, path, path.lstat()) for path in (first, second)]
    second.parent.rename(tmp_path / "aside")
    second.parent.mkdir()
    with pytest.raises(
        TrashError, match=r"120200 was replaced meanwhile. Moved before that: \S+00$"
    ):
        move_to_trash(tmp_path, leaves, datetime.now().astimezone())
    assert not first.exists()
    assert second.parent.is_dir()


def test_two_removals_of_one_second_have_directories_of_their_own(tmp_path: Path) -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    places = []
    for _ in range(3):
        path = leave_run(tmp_path, 1)
        places.append(move_to_trash(tmp_path, [leaf_of(tmp_path, path, path.lstat())], now))
    assert places == [f".mlps/trash/20261129_12000{second}" for second in range(3)]
    assert len(trashed(tmp_path)) == 3


def test_results_directory_that_cannot_be_written_is_refused(
    mount: Callable[[str, str], Path],
) -> None:
    results = mount("tmpfs", "size=8m")
    path = leave_run(results, 1)
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(results)], check=True)
    assert "a directory above it cannot be written" in refusal(results, IDS[1])
    assert path.is_file()


def test_directory_on_another_filesystem_is_refused(mount: Callable[[str, str], Path]) -> None:
    inner = mount("tmpfs", "size=8m")
    leave_run(inner, 1)
    assert "is on another filesystem than" in refusal(inner.parent, IDS[1])


def test_pipe_in_place_of_the_ledger_is_refused(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    own = tmp_path / ".mlps"
    own.mkdir()
    os.mkfifo(own / "runs.jsonl")
    assert "cannot be used: It is no regular file. Nothing was moved" in refusal(tmp_path, IDS[1])


def test_ledger_of_the_reference_gets_a_line_for_runs_that_it_knows(tmp_path: Path) -> None:
    paths = [leave_run(tmp_path, number) for number in (1, 2)]
    own = tmp_path / ".mlps"
    own.mkdir()
    leaf = paths[0].parent.relative_to(tmp_path).as_posix()
    known = {"at": "2026-11-01T12:01:00", "event": "registered", "id": 7, "leaf": leaf}
    before = f'{json.dumps(known)}\n[1]\n{{"event": "registered", "id": 8, "le'
    (own / "runs.jsonl").write_text(before)
    remove(tmp_path, IDS[1], IDS[2])
    after = (own / "runs.jsonl").read_text()
    assert after.startswith(before + "\n")
    (line,) = after.removeprefix(before).splitlines()[1:]
    entry = json.loads(line)
    assert list(entry) == ["at", "event", "id", "to"]
    assert (entry["event"], entry["id"]) == ("trashed", 7)
    assert (tmp_path / entry["to"] / paths[0].name).is_file()
    assert datetime.fromisoformat(entry["at"]).tzinfo is None


def test_no_ledger_is_made(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    remove(tmp_path, IDS[1])
    assert [path.name for path in (tmp_path / ".mlps").iterdir()] == ["trash"]


@pytest.mark.slow
def test_removal_waits_for_the_lock_of_the_ledger(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    own = tmp_path / ".mlps"
    own.mkdir()
    (own / "runs.jsonl").write_text("")
    with (own / "runs.jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        removal = threading.Thread(target=remove, args=(tmp_path, IDS[1]))
        removal.start()
        removal.join(0.3)
        assert removal.is_alive()
        assert not trashed(tmp_path)
    removal.join()
    assert len(trashed(tmp_path)) == 1


@pytest.mark.parametrize("option", ["--mlps-dry-run", "--mlps-yes"])
def test_options_of_the_removal_alone_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{option}.*with --mlps-history-rm=ID alone"):
        answer_here(tmp_path, option)


def test_removal_with_another_command_is_refused(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    message = refusal(tmp_path, IDS[1], options=(f"--mlps-history-rerun={IDS[1]}",))
    assert "--mlps-history-rm: got '--mlps-history-rerun'; accepted: no other command" in message


@pytest.mark.starts_process
def test_removal_exits_with_0_and_a_refusal_with_4(pytester: pytest.Pytester) -> None:
    leave_run(pytester.path / "mlps-results", 1)
    assert pytester.runpytest_subprocess("--mlps-history-rm=2027").ret == 4
    result = pytester.runpytest_subprocess(f"--mlps-history-rm={IDS[1]}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["moved open/local/*/20261101_120100", "to */.mlps/trash/*"])
