"""Errors that users meet, raised by the product's own code: the sections of docs/errors.md."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import sysconfig
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.checkpointing.config.profile_file import load_profile as load_checkpointing
from mlpstorage_bench.checkpointing.runner.handover import run_call_out
from mlpstorage_bench.checkpointing.runner.left_checkpoints import check_one_run
from mlpstorage_bench.checkpointing.runner.manifest import Manifest, parameters_of_files
from mlpstorage_bench.checkpointing.sizing import not_fitting as checkpoints_not_fitting
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.cache_directories import CacheDirectory
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.rank_storage import RankStorage
from mlpstorage_bench.kvcache.sizing import RankSize, not_fitting
from mlpstorage_bench.launch import exit_reason
from mlpstorage_bench.launch.command import LaunchPlan
from mlpstorage_bench.launch.compatibility import check_library, check_size
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.host_list import parse_hosts
from mlpstorage_bench.launch.hosts import lay_out
from mlpstorage_bench.launch.launchers.installed import find_binary
from mlpstorage_bench.launch.monitor import LaunchMonitor
from mlpstorage_bench.launch.status_channel import StatusReader
from mlpstorage_bench.mpi.connection import connect
from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.settings import Settings, read_settings
from mlpstorage_bench.results import run_directory, tree
from mlpstorage_bench.session.measured_storage import note_on_system_disk
from mlpstorage_bench.session.type_requests import check_used, plan_for
from mlpstorage_bench.storage.direct_io import DirectIo
from mlpstorage_bench.storage.directory import RankDirectory, check_cache_dir
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.training.config.profile_file import load_profile as load_training
from mlpstorage_bench.training.dataset.place import Contents, DatasetPlace
from mlpstorage_bench.training.formats import chosen
from mlpstorage_bench.training.runner.datagen import check_space, look_for_files_of_others
from mlpstorage_bench.trial import storage_modes
from mlpstorage_bench.units import GIB, MIB

OPEN_MPI = LauncherEnvironment("openmpi", rank=0, size=2, version="5.0.11")
SRUN = LauncherEnvironment("srun", rank=0, size=2)
MPICH_LIBRARY = "MPICH Version:      4.3.1\nMPICH Release date: …"
NO_UNCACHED_IO = "pwritev with RWF_DONTCACHE: Operation not supported"
NO_DIRECT_IO = DirectIo(None, "opening a file with O_DIRECT: Invalid argument")


@dataclass(frozen=True)
class Place:
    """A directory of a test, in which a situation is made, and what it replaces there."""

    directory: Path
    patch: pytest.MonkeyPatch
    notes: list[str] = field(default_factory=list)

    @property
    def shown(self) -> dict[str, str]:
        """Texts of this machine → texts that stand for them on the page."""
        return {
            str(self.directory): "/mnt/array",
            sysconfig.get_path("scripts"): "/home/me/venv/bin",
            " -u -m pytest": " -m pytest",  # workers of pytest-xdist have the flag
            " -P -m pytest": " -m pytest",  # the script pytest has it
            "/bin/python3 -m pytest": "/bin/python -m pytest",  # the script's interpreter
        }


Raise = Callable[[Place], object]


@dataclass(frozen=True)
class Situation:
    """An error or a note that a user meets."""

    title: str
    meaning: str
    """When it occurs, and what else to do, for the page."""
    raise_it: Raise
    """Function that raises the error, or returns the text of a note."""

    def message(self, directory: Path) -> str:
        """Return the message as the page shows it: paths of this machine have others."""
        with pytest.MonkeyPatch.context() as patch:
            place = Place(directory, patch)
            try:
                text = str(self.raise_it(place))
            except MlpsError as error:
                text = str(error)
            for here, shown in place.shown.items():
                text = text.replace(here, shown)
        return text.strip()


def _no_launcher(place: Place) -> object:
    place.patch.setattr(shutil, "which", lambda *_arguments, **_more: None)
    return find_binary(None)


def _no_library(place: Place) -> object:
    """Let mpi4py fail as it does where MPI4PY_LIBMPI leads nowhere."""

    class Library(types.ModuleType):
        rc = staticmethod(lambda **_more: None)

        def __getattr__(self, name: str) -> object:
            raise RuntimeError(
                "cannot load MPI library\n/opt/mpi/lib/libmpi.so: cannot open shared object file: "
                "No such file or directory"
            )

    place.patch.setitem(sys.modules, "mpi4py", Library("mpi4py"))
    return connect(OPEN_MPI)


def _not_started(place: Place, plan: LaunchPlan, *, user: int = 1000, status: int = 1) -> str:
    """Return what the parent prints when the launcher has ended before any rank began."""
    printed: list[bytes] = []
    place.patch.setattr(os, "geteuid", lambda: user)
    place.patch.setattr(exit_reason, "write", printed.append)
    ended = SimpleNamespace(
        reason="", was_interrupted=False, limit_exceeded=False, launcher_was_killed=False
    )
    reader = StatusReader(place.directory, "id")
    exit_reason.exit_of(plan, reader, status, cast("LaunchMonitor", ended))
    return b"".join(printed).decode()


def _launch(hosts: str, command: str) -> LaunchPlan:
    layout = lay_out(parse_hosts([hosts]))
    is_here = hosts == "localhost"
    prefix = tuple(command.split())
    return LaunchPlan(prefix, (), "Open MPI 5.0.11", (), layout, all_hosts_are_here=is_here)


def _not_writable(place: Place) -> object:
    place.patch.setattr(os, "access", lambda *_arguments: False)
    check_cache_dir(place.directory / "cache")
    return "it is accepted"


def _in_use(place: Place) -> object:
    cache_dir = place.directory / "cache"
    with RankDirectory(cache_dir, 0), RankDirectory(cache_dir, 0):
        return "both runs use it"


def _storage_without_direct_io(place: Place, **parameters: object) -> RankStorage:
    place.patch.setattr(storage_modes, "probe_direct_io", lambda _directory: NO_DIRECT_IO)
    site = RankSite("node1", place.directory / "cache", is_first_on_host=False)
    storage = RankStorage(site, place.directory, [_workload(**parameters)])
    place.notes.extend(storage.probe())
    return storage


def _other_checkpoints(_: Place) -> object:
    written = load_checkpointing("quick").parameters.model_dump(mode="json")
    manifest = Manifest(
        parameters=parameters_of_files(written), ranks=2, seed=42, ended_at=0.0, checkpoints={}
    )
    asked = load_checkpointing("quick", [("writer", "dcp")]).parameters.model_dump(mode="json")
    manifest.check(parameters_of_files(asked), ranks=4)
    return "they are read"


def _workload(**parameters: object) -> Workload:
    return load_profile("quick").workloads["1"].model_copy(update=parameters)


def _direct_io_refused(place: Place) -> object:
    workload = _workload(io_mode="direct")
    return _storage_without_direct_io(place).io_mode(workload)


def _uncached_io_refused(place: Place) -> object:
    place.patch.setattr(storage_modes, "uncached_refusal", lambda _directory: NO_UNCACHED_IO)
    return _storage_without_direct_io(place, io_mode="uncached").io_mode(
        _workload(io_mode="uncached")
    )


def _direct_io_noted(place: Place) -> object:
    _storage_without_direct_io(place)
    return place.notes[0]


def _too_small(_place: Place) -> object:
    size = RankSize(2 * GIB, 2 * GIB, 40 * MIB, GIB, GIB, 100 * MIB, 100)
    raise not_fitting(size.problems(GIB // 2, None))


def _dataset(place: Place) -> DatasetPlace:
    """Return the place of the dataset of the profile quick."""
    workload = load_training("quick").workloads["train"]
    contents = Contents.of(workload, 105, 42, MIB)
    return DatasetPlace(place.directory / "cache", contents, workload.dataset(105, 42))


def _data_too_large(place: Place) -> object:
    check_space(_dataset(place), [*range(105)], GIB // 8)
    return ""


def _data_damaged(place: Place) -> object:
    dataset = _dataset(place)
    dataset.make()
    (dataset.directory / "dataset.json").write_text("{")
    return dataset.is_complete()


def _data_not_shared(place: Place) -> object:
    dataset = _dataset(place)
    dataset.make()
    look_for_files_of_others(dataset, 2)
    return ""


def _no_library_of_a_format(place: Place) -> object:
    place.patch.setitem(sys.modules, "pyarrow.parquet", None)
    chosen.check_library("parquet")
    return ""


def _full(place: Place) -> object:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise storage_error("writing", place.directory / "cache/rank_0/e1.kv", error, 1 << 30)


def _results_full(place: Place) -> object:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place.patch.setattr(tree, "replace_text", refuse)
    return tree.write_text(place.directory / "results/summary.json", "{}")


def _results_not_writable(place: Place) -> object:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(
            errno.EACCES, os.strerror(errno.EACCES), str(place.directory / "results/open")
        )

    place.patch.setattr(Path, "mkdir", refuse)
    names = ("open", "local", "node1", "kv_cache", "llama3.1-8b", "run")
    return run_directory.begin_run_directory(place.directory / "results", *names)


def _host_file(text: str) -> Raise:
    def read(place: Place) -> object:
        path = place.directory / "hosts"
        path.write_text(text)
        return parse_hosts([f"@{path}"])

    return read


def _given(**options: object) -> Settings:
    """Return the settings of these options, as pytest has them."""
    return read_settings(
        argparse.Namespace(**{**{option.dest: None for option in OPTIONS}, **options}), {}
    )


BOTH_TYPES = ("kv_cache", "checkpointing")
TYPES = (
    Situation(
        "Parameter of several types",
        "Tests of several benchmark types were collected, and more than one has the parameter.",
        lambda _: check_used(_given(mlps_set=["io_chunk_kib=512"]), BOTH_TYPES),
    ),
    Situation(
        "File for several types",
        "A profile's file says nothing of its type.",
        lambda _: check_used(_given(mlps_profile=["nightly.yaml"]), BOTH_TYPES),
    ),
    Situation(
        "Value for no test",
        "No test of a type that has the parameter was collected: leave out the value, or the "
        "option that leaves out the tests (`-k`, `-m`).",
        lambda _: check_used(_given(mlps_set=["checkpointing.lanes=4"]), ["kv_cache"]),
    ),
    Situation(
        "Parameter by mlpstorage's name",
        "Keys here have no sections. [Coming from mlpstorage](coming-from-mlpstorage.md) lists "
        "every parameter that is known, with its form here.",
        lambda _: plan_for(_given(mlps_set=["reader.read_threads=8"]), "training"),
    ),
)

LAUNCHING = (
    Situation(
        "No launcher",
        "Hosts or a number of ranks are given, and there is no `mpirun`. One process needs none.",
        _no_launcher,
    ),
    Situation(
        "No such launcher",
        "`--mlps-mpi-bin` is the launcher alone; its arguments go into `--mlps-mpi-params`.",
        lambda _: find_binary("mpirun.mpich -v"),
    ),
    Situation(
        "No MPI library",
        "A launcher has started this rank, and mpi4py finds no library, or another one than "
        "`MPI4PY_LIBMPI` names.",
        _no_library,
    ),
    Situation(
        "Launcher and library of different MPIs",
        "Each of the two works alone. Without this check every rank would be a run of its own, and "
        "all of them would pass. [Launcher and library](launchers.md#launcher-and-library) has the "
        "rules.",
        lambda _: check_library(OPEN_MPI, MPICH_LIBRARY),
    ),
    Situation(
        "Ranks that do not find each other",
        "Slurm and PALS start ranks of any MPI, and offer several protocols to them.",
        lambda _: check_size(SRUN, "Open MPI v5.0.11", 1),
    ),
    Situation(
        "Root is refused",
        "Open MPI's own message stands above. Under an `mpirun` of yours, add "
        "`--allow-run-as-root` to it.",
        lambda place: _not_started(
            place, _launch("localhost", "mpirun -n 1 -host localhost:1"), user=0
        ),
    ),
    Situation(
        "A host cannot be reached",
        "The message of `ssh` or the launcher stands above. The same line ends a launch for other "
        "reasons, such as a firewall between the hosts, or Python that is not installed there: "
        "[many hosts](hosts.md#requirements) has what a host needs.",
        lambda place: _not_started(
            place, _launch("node1,node2", "mpirun -n 2 -host node1:1,node2:1"), status=255
        ),
    ),
    Situation(
        "More ranks than slots",
        "Where the list of hosts gives slots, ranks have to fit. `There are not enough slots "
        "available` is Open MPI's own message under an `mpirun` of yours: add `--oversubscribe` to "
        "it, or `:SLOTS` to its hosts.",
        lambda _: lay_out(parse_hosts(["node1:2,node2:2"]), num_processes=8),
    ),
    Situation(
        "A number of ranks that the hosts cannot share",
        "Ranks are spread evenly, as the rules of MLPerf Storage demand.",
        lambda _: lay_out(parse_hosts(["node1,node2"]), num_processes=3),
    ),
)
HOSTS = (
    Situation(
        "Open MPI's form on the command line",
        "",
        lambda _: parse_hosts(["node1 slots=2 max_slots=4"]),
    ),
    Situation("Another word than slots", "", _host_file("node1 slots=2\nnode2 sockets=2\n")),
    Situation("More slots than the most", "", _host_file("node1 slots=4 max_slots=2\n")),
    Situation("Several hosts in a line", "", _host_file("node1 node2\n")),
    Situation("A range that ends before it begins", "", lambda _: parse_hosts(["node[04-01]"])),
    Situation("A host that is listed twice", "", lambda _: parse_hosts(["node1,NODE1"])),
)
STORAGE = (
    Situation(
        "The cache directory is on the system disk",
        "This is a note, because a run works there: it measures the disk of the operating system, "
        "with all else that uses it. In a container, `/` is the container's own filesystem.",
        lambda _: note_on_system_disk(
            [CacheDirectory("node1", "/root/mlps-cache", "ext4", "/dev/vda1", None, "/")]
        )[0],
    ),
    Situation(
        "The storage is not mounted",
        "Only the last part of the path may be missing.",
        lambda place: check_cache_dir(place.directory / "missing/cache"),
    ),
    Situation(
        "The cache directory is a system directory",
        "Cache files are removed at the end, and nothing else may be there.",
        lambda _: check_cache_dir(Path("/tmp")),
    ),
    Situation("No permission to write", "", _not_writable),
    Situation(
        "Another run uses the cache directory",
        "Each run needs a directory of its own; two runs on one storage disturb each other.",
        _in_use,
    ),
    Situation(
        "No direct I/O",
        "This is a note: the run goes on, through the page cache. "
        "[Buffered mode](measurement.md#buffered-mode) says what is measured then.",
        _direct_io_noted,
    ),
    Situation(
        "Direct I/O is requested where there is none",
        "",
        _direct_io_refused,
    ),
    Situation(
        "Uncached I/O is requested where there is none",
        "It needs Linux 6.14, and a filesystem that supports it.",
        _uncached_io_refused,
    ),
    Situation(
        "Too little space, before the run",
        "Nothing has been written.",
        _too_small,
    ),
    Situation(
        "No space left, during the run",
        "Another program has filled the filesystem, or a quota is smaller than its free space. The "
        "trial has no results; those of earlier trials are kept.",
        _full,
    ),
    Situation(
        "Data of a training does not fit",
        "No file has been made. `--mlps-datasize` prints the size of the data and what determines "
        "it.",
        _data_too_large,
    ),
    Situation("The description of data is damaged", "", _data_damaged),
    Situation(
        "Hosts do not see each other's data",
        "Each host has a filesystem of its own at this path, or a network filesystem shows new "
        "files late.",
        _data_not_shared,
    ),
    Situation(
        "The library of a format is not installed",
        "The format `raw` needs none.",
        _no_library_of_a_format,
    ),
    Situation(
        "Ranks that cannot share a model",
        "[Checkpointing](checkpointing.md#models) has the numbers of ranks that divide each model.",
        lambda _: load_checkpointing("mlperf", [("model", "llama3-70b")]).sharers(12),
    ),
    Situation(
        "Checkpoints do not fit",
        "No checkpoint has been written. All of them stay until the last one was read.",
        lambda _: checkpoints_not_fitting(
            load_checkpointing("mlperf").parameters, 13 * GIB, 40 * GIB, None
        ),
    ),
    Situation(
        "No checkpoints to read",
        "A run with `phase=write` leaves its checkpoints, and the read phase after it removes "
        "them.",
        lambda place: Manifest.read(place.directory / "cache" / "checkpoint_rank_0"),
    ),
    Situation(
        "Checkpoints of other parameters",
        "The files depend on model, scale, writer, chunks and ranks. The checkpoints are still "
        "there.",
        _other_checkpoints,
    ),
    Situation(
        "Checkpoints of several runs",
        "A rank has found its directory on another host or storage, where an earlier run has left "
        "checkpoints. All of them are still there.",
        lambda _: check_one_run(["20261124_033500-8e1f", "20261125_033500-a2c4"]),
    ),
    Situation(
        "A call-out that fails",
        "It runs without a shell: write `sh -c '…'` where it needs one.",
        lambda _: run_call_out("drop-caches --all"),
    ),
    Situation("The results directory cannot be written", "", _results_not_writable),
    Situation(
        "No space left for results",
        "`pytest --mlps-convert` makes the results again from pytest-benchmark's JSON, if that was "
        "written.",
        _results_full,
    ),
)
SECTIONS = {
    "launching": LAUNCHING,
    "hosts": HOSTS,
    "storage": STORAGE,
    "types": TYPES,
}
"""Parts of the page, by the names of their markers."""
ACCEPTED_HOSTS = (
    ("node[01-04,07]", "Slurm, on the command line and in files"),
    ("node1:4", "MPICH, on the command line and in files"),
    ("@node1 slots=2 max_slots=4\nnode2 slots=2\n", "Open MPI, in files"),
    ("@node1\nnode1\nnode2\nnode2\n", "PBS, in files: a line for each slot"),
    ("@node1:ppn=4\n", "PBS, in files made from a request"),
    ("[2001:db8::1]:2", "an IPv6 address with slots"),
)
"""Values of the option, those of files after an @, and whose form it is."""
