"""Command lines for each family of launchers; test_every_launcher.py runs the installable ones."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.errors import InvalidInputError, LaunchError, MlpsError
from mlpstorage_bench.launch.command import LaunchPlan, check_length, plan_launch
from mlpstorage_bench.launch.hosts import Host, lay_out
from mlpstorage_bench.launch.launchers.exported import exported_names
from mlpstorage_bench.launch.launchers.hydra import Hydra
from mlpstorage_bench.launch.launchers.installed import find_binary, identify
from mlpstorage_bench.launch.launchers.launcher import Launch, Launcher, LaunchFlags
from mlpstorage_bench.launch.launchers.open_mpi import OpenMpi
from mlpstorage_bench.launch.launchers.pals import Pals
from mlpstorage_bench.launch.launchers.slurm import Slurm

EVEN = lay_out((Host("h1", 4), Host("h2")), num_processes=4)
UNEVEN = lay_out((Host("h1", 1), Host("h2", 3)), num_processes=4)
HERE = lay_out((), num_processes=2)
ALL_SWITCHES = LaunchFlags(oversubscribe=True, allow_run_as_root=True, extra=("--x", "y z"))
LAUNCH = Launch(EVEN, LaunchFlags(), "/my dir", ("MLPS_X", "PATH"), "node7")

OMPI4, OMPI5 = OpenMpi("4.1.4"), OpenMpi("5.0.11")
HYDRA, SLURM, PALS = Hydra("5.0.2"), Slurm("23.11.4"), Pals("1.8.0")
ALL: tuple[Launcher, ...] = (OMPI4, OMPI5, HYDRA, SLURM, PALS)

VERSIONS = {
    "mpirun (Open MPI) 5.0.11": "Open MPI 5.0.11",
    "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/": "Open MPI 4.1.4",
    "mpiexec (OpenRTE) 4.1.2": "Open MPI 4.1.2",
    "HYDRA build details:\n    Version:                 5.0.2": "MPICH (Hydra) 5.0.2",
    "slurm 23.11.4": "Slurm (srun) 23.11.4",
    "slurm-wlm 22.05.8": "Slurm (srun) 22.05.8",
    "mpiexec version 1.8.0 revision 1a2b": "HPE Cray PALS 1.8.0",
}

OPEN_MPI_EVEN = [
    *("mpirun", "-n", "4", "-host", "h1:2,h2:2", "--bind-to", "none", "--map-by", "node"),
    *("--oversubscribe", "--allow-run-as-root", "--wdir", "/my dir"),
    *("-x", "MLPS_X", "-x", "PATH", "--x", "y z"),
]
GOLDEN = [
    (OMPI4, EVEN, OPEN_MPI_EVEN),
    (OMPI5, EVEN, OPEN_MPI_EVEN),
    (OMPI5, UNEVEN, [{"h1:2,h2:2": "h1:1,h2:3", "node": "slot"}.get(w, w) for w in OPEN_MPI_EVEN]),
    (
        HYDRA,
        UNEVEN,
        [
            *("mpirun", "-n", "4", "-hosts", "h1:1,h2:3", "-bind-to", "none", "-wdir", "/my dir"),
            *("-genvlist", "MLPS_X,PATH", "--x", "y z"),
        ],
    ),
    (
        SLURM,
        EVEN,
        [
            *("mpirun", "--ntasks=4", "--nodes=2", "--ntasks-per-node=2", "--nodelist=h1,h2"),
            *("--distribution=block", "--cpu-bind=none", "--overcommit", "--chdir=/my dir"),
            *("--export=HOME,USER,MLPS_X,PATH", "--x", "y z"),
        ],
    ),
    (
        SLURM,
        UNEVEN,
        [
            *("mpirun", "--ntasks=4", "--nodelist=h1,h2,h2,h2", "--distribution=arbitrary"),
            *("--cpu-bind=none", "--overcommit", "--chdir=/my dir"),
            *("--export=HOME,USER,MLPS_X,PATH", "--x", "y z"),
        ],
    ),
    (
        PALS,
        EVEN,
        [
            *("mpirun", "-n", "4", "--ppn", "2", "--hosts", "h1,h2", "--cpu-bind", "none"),
            *("--wdir", "/my dir", "--genvnone", "--envnone"),
            *("--envlist", "HOME,USER,MLPS_X,PATH", "--x", "y z"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("launcher", "layout", "expected"),
    GOLDEN,
    ids=lambda value: value.title if hasattr(value, "title") else None,
)
def test_layout_gives_argument_vector(
    launcher: Launcher, layout: object, expected: list[str]
) -> None:
    launch = replace(LAUNCH, layout=layout, flags=ALL_SWITCHES)  # type: ignore[arg-type]
    assert launcher.prefix("mpirun", launch) == expected


def test_srun_inside_a_step_overlaps_it() -> None:
    within = replace(LAUNCH, is_within_step=True)
    assert SLURM.prefix("srun", within).count("--overlap") == 1
    assert "--overlap" not in SLURM.prefix("srun", LAUNCH)
    exclusive = replace(within, flags=LaunchFlags(extra=("--exclusive",)))
    assert "--overlap" not in SLURM.prefix("srun", exclusive)


@pytest.mark.parametrize("launcher", ALL, ids=lambda launcher: launcher.title)
def test_default_launch_has_no_optional_flags_or_notes(launcher: Launcher) -> None:
    words = launcher.prefix("mpirun", LAUNCH)
    assert not {"--oversubscribe", "--overcommit", "--allow-run-as-root", "--mca"} & set(words)
    assert launcher.notes(LAUNCH) == []


@pytest.mark.parametrize(
    ("launcher", "lacking"),
    [
        (OMPI4, []),
        (OMPI5, []),
        (HYDRA, ["--mlps-oversubscribe", "--mlps-allow-run-as-root"]),
        (SLURM, ["--mlps-allow-run-as-root"]),
        (PALS, ["--mlps-oversubscribe", "--mlps-allow-run-as-root"]),
    ],
    ids=lambda value: getattr(value, "title", ""),
)
def test_option_without_a_flag_gives_a_note(launcher: Launcher, lacking: list[str]) -> None:
    notes = launcher.notes(replace(LAUNCH, flags=ALL_SWITCHES))
    assert [note.partition(":")[0] for note in notes] == lacking
    assert all(f"{launcher.title} has no such flag" in note for note in notes)


@pytest.mark.parametrize(
    ("launcher", "transport", "expected"),
    [
        (OMPI4, "vader", "vader,self"),
        (OMPI5, "vader", "sm,self"),
        (OMPI4, "tcp", "tcp,self"),
        (OMPI5, "tcp", "tcp,self"),
    ],
    ids=str,
)
def test_open_mpi_transport_name_depends_on_version(
    launcher: Launcher, transport: str, expected: str
) -> None:
    flags = LaunchFlags(transport=transport)  # type: ignore[arg-type]
    words = launcher.prefix("mpirun", replace(LAUNCH, layout=HERE, flags=flags))
    start = words.index("--mca")
    assert words[start : start + 6] == ["--mca", "pml", "ob1", "--mca", "btl", expected]


def test_shared_memory_transport_over_hosts_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-mpi-btl: got 'vader'; .*several hosts"):
        OMPI5.prefix("mpirun", replace(LAUNCH, flags=LaunchFlags(transport="vader")))


@pytest.mark.parametrize("launcher", [HYDRA, SLURM, PALS], ids=lambda launcher: launcher.title)
def test_transport_is_refused_by_launchers_without_a_flag(launcher: Launcher) -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-mpi-btl: got 'tcp'; accepted: auto with"):
        launcher.prefix("mpirun", replace(LAUNCH, flags=LaunchFlags(transport="tcp")))


@pytest.mark.parametrize(
    ("launcher", "extra", "ours"),
    [
        (OMPI5, ("--bind-to", "core", "--map-by=socket"), {"none", "node"}),
        (HYDRA, ("-bind-to", "core", "-genvall"), {"none", "-genvlist"}),
        (SLURM, ("--cpu-bind=cores", "--export=ALL"), {"--cpu-bind=none"}),
        (PALS, ("--cpu-bind", "core", "--envall"), {"none", "--envnone", "--envlist"}),
    ],
    ids=lambda value: getattr(value, "title", ""),
)
def test_user_arguments_replace_default_flags(
    launcher: Launcher, extra: tuple[str, ...], ours: set[str]
) -> None:
    words = launcher.prefix("mpirun", replace(LAUNCH, flags=LaunchFlags(extra=extra)))
    assert not ours & set(words)
    assert words[-len(extra) :] == list(extra)


@pytest.mark.parametrize("launcher", [SLURM, PALS], ids=lambda launcher: launcher.title)
def test_resource_manager_gets_this_hosts_name_for_localhost(launcher: Launcher) -> None:
    line = " ".join(launcher.prefix("mpirun", replace(LAUNCH, layout=HERE)))
    assert "node7" in line
    assert "localhost" not in line


def test_pals_refuses_layouts_uneven_before_the_last_host() -> None:
    left_over = lay_out((Host("h1", 3), Host("h2", 1)), num_processes=4)
    words = PALS.prefix("mpiexec", replace(LAUNCH, layout=left_over))
    assert words[:7] == ["mpiexec", "-n", "4", "--ppn", "3", "--hosts", "h1,h2"]
    with pytest.raises(InvalidInputError, match=r"--mlps-hosts: .*same number.*1, 3 ranks"):
        PALS.prefix("mpiexec", replace(LAUNCH, layout=UNEVEN))


hosts = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@pytest.mark.slow
@given(hosts, st.integers(1, 4))
def test_every_launcher_gives_each_rank_a_slot_or_refuses(slots: list[int], per_host: int) -> None:
    given_hosts = [Host(f"h{number}", limit) for number, limit in enumerate(slots)]
    try:
        layout = lay_out(given_hosts, num_processes=per_host * len(slots))
    except MlpsError:
        assert sum(slots) < per_host * len(slots)
        return
    launch = replace(LAUNCH, layout=layout)
    assert sum(layout.ranks_by_host) == layout.total
    assert all(0 < ranks <= limit for ranks, limit in zip(layout.ranks_by_host, slots, strict=True))
    for launcher in (OMPI5, HYDRA):
        words = launcher.prefix("mpirun", launch)
        pairs = next(word for word in words if word.startswith("h0:")).split(",")
        ranks = tuple(int(pair.split(":")[1]) for pair in pairs)
        assert ranks == layout.ranks_by_host


def fake_launcher(folder: Path, name: str, version: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{version}\nEND\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.starts_process
@pytest.mark.parametrize(("version", "title"), VERSIONS.items(), ids=VERSIONS.values())
def test_launcher_is_recognised_by_version_output_not_name(
    tmp_path: Path, version: str, title: str
) -> None:
    assert identify(fake_launcher(tmp_path, "anything", version)).title == title


@pytest.mark.starts_process
def test_unknown_launcher_error_shows_its_version_output(tmp_path: Path) -> None:
    binary = fake_launcher(tmp_path, "mpirun", "SuperLauncher 3")
    with pytest.raises(LaunchError, match="its --version prints: SuperLauncher 3"):
        identify(binary)


@pytest.mark.starts_process
def test_installed_mpirun_is_found_and_recognised() -> None:
    assert identify(find_binary(None)).name == "openmpi"


def test_missing_binary_is_refused() -> None:
    with pytest.raises(LaunchError, match="--mlps-mpi-bin: no executable 'nowhere/mpirun'"):
        find_binary("nowhere/mpirun")


def test_only_listed_variables_go_to_other_hosts() -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HOME", "SSH_AUTH_SOCK", "OMPI_TOKEN"}
    ours = {"PATH", "MLPS_X", "PYTHONPATH", "PYTEST_ADDOPTS", "FI_PROVIDER", "OMPI_MCA_btl"}
    assert exported_names(dict.fromkeys(secrets | ours, "x")) == sorted(ours)


@pytest.mark.starts_process
def test_shown_command_has_arguments_and_executed_command_one_word() -> None:
    arguments = ["benchmarks", "--map-by", ":", "-k", "a b", "ü"]
    plan = plan_launch(HERE, LaunchFlags(), None, arguments)
    assert plan.command[-6:] == arguments
    executed = plan.argument_vector[len(plan.prefix) :]
    assert (executed[0], executed[-3]) == (sys.executable, "-c")
    assert not set(arguments) & set(executed)
    assert plan.argument_vector[: len(plan.prefix)] == plan.command[: len(plan.prefix)]
    assert f"--wdir {os.getcwd()}" in plan.shell_line()  # noqa: PTH109 - as a shell sees it


@pytest.mark.parametrize(("name", "is_refused"), [("n{}", False), ("storage-node-{}.lan", True)])
def test_command_beyond_the_kernel_s_limit_is_refused(name: str, is_refused: bool) -> None:  # noqa: FBT001 - of the table
    layout = lay_out([Host(name.format(number)) for number in range(9000)])
    prefix = OMPI5.prefix("mpirun", replace(LAUNCH, layout=layout))
    plan = LaunchPlan(
        tuple(prefix), ("test_it.py",), OMPI5.title, (), layout, all_hosts_are_here=False
    )
    if not is_refused:
        check_length(plan)
        return
    with pytest.raises(
        LaunchError, match=r"9000 ranks on 9000 hosts has \d+ bytes; accepted: less"
    ):
        check_length(plan)
