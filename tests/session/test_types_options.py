"""Options for several benchmark types: prefixes, and usage errors that name what is accepted."""

from __future__ import annotations

import pytest

from tests.conftest import RunRanks
from tests.session.two_types import COPY_TEST, runs_in, two_types
from tests.variants import first_of

WHATIF = ("--mlps-mode=whatif", "--mlps-cache-dir=cache", "-p", "no:cacheprovider")
SIMULATED = (
    *("--mlps-set=storage=null", "--mlps-results-dir=results", "--mlps-cache-dir=cache"),
    *("-p", "no:cacheprovider"),
)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    two_types(
        pytester,
        monkeypatch,
        """
def test_kv(kvcache, kvcache_workload): pass
def test_copy(copy_files, copy_files_case): pass
""",
    )
    (pytester.path / "own.yaml").write_text("files: 9\n")
    return pytester


PLANNED = {
    "each by its prefix": (
        ("--mlps-set=copy_files.files=7", "--mlps-set=kv_cache.num_users=3"),
        ["workload 1, * 3 users per rank*", "copy: 2 lanes of 7 files of 1 MiB"],
    ),
    "each that knows it": (
        ("--mlps-set=files=7", "--mlps-set=num_users=3"),
        ["workload 1, * 3 users per rank*", "copy: 2 lanes of 7 files of 1 MiB"],
    ),
    "a workload of a type": (
        ("--mlps-set=kv_cache.options.2.num_users=3",),
        ["workload 1, * 8 users*", "workload 2, * 3 users*"],
    ),
    "a profile of both": (
        ("--mlps-profile=quick",),
        ["profile quick: *", "copy: 2 lanes of 4 files of 1 MiB"],
    ),
    "the last profile of a type": (
        ("--mlps-profile=copy_files.quick", "--mlps-profile=copy_files.own.yaml"),
        ["copy: 2 lanes of 9 files of 1 MiB"],
    ),
    "a profile of each": (
        ("--mlps-profile=copy_files.own.yaml", "--mlps-profile=kv_cache.mlperf"),
        ["profile mlperf: *", "copy: 2 lanes of 9 files of 1 MiB"],
    ),
}
UNUSED = "accepted: values for {}, the benchmark types of the collected tests"
REFUSED = {
    "key of both": (
        ("--mlps-set=io_chunk_kib=64",),
        (
            "--mlps-set: got 'io_chunk_kib=64'; accepted: kv_cache.io_chunk_kib=64 or "
            "copy_files.io_chunk_kib=64. kv_cache and copy_files know the key: name the type"
        ),
    ),
    "key that its type has not": (
        ("--mlps-set=copy_files.nonsense=7",),
        "--mlps-set: got 'copy_files.nonsense'; accepted: one of file_mib, files, ",
    ),
    "file for both": (
        ("--mlps-profile=own.yaml",),
        (
            "--mlps-profile: got 'own.yaml'; accepted: kv_cache.own.yaml or copy_files.own.yaml. "
            "This session runs kv_cache and copy_files: name the type"
        ),
    ),
    "key of a type without tests": (
        ("-k", "kv", "--mlps-set=files=7"),
        f"--mlps-set: got 'files=7'; {UNUSED.format('kv_cache')}",
    ),
    "value that one of two refuses": (
        ("--mlps-set=files=none", "--mlps-set=num_users=3"),
        "--mlps-set: got 'files=none'; accepted: values of the type and within the limits of ",
    ),
    "prefix of a type without tests": (
        ("-k", "kv", "--mlps-set=copy_files.files=7"),
        f"--mlps-set: got 'copy_files.files=7'; {UNUSED.format('kv_cache')}",
    ),
    "key of no type": (("--mlps-set=nonsense=7",), "--mlps-set: got 'nonsense'; accepted: one of"),
    "profile of a type without tests": (
        ("-k", "copy", "--mlps-profile=mlperf"),
        f"--mlps-profile: got 'mlperf'; {UNUSED.format('copy_files')}",
    ),
    "prefix of a profile without tests": (
        ("-k", "copy", "--mlps-profile=kv_cache.mlperf"),
        f"--mlps-profile: got 'kv_cache.mlperf'; {UNUSED.format('copy_files')}",
    ),
    "profile that its type has not": (
        ("--mlps-profile=copy_files.mlperf",),
        "--mlps-profile: got 'copy_files.mlperf'; accepted: quick, or the path of a YAML file",
    ),
}


@pytest.mark.parametrize("given", first_of(*PLANNED))
def test_values_are_for_the_types_that_they_name_or_fit(
    project: pytest.Pytester, given: str
) -> None:
    options, lines = PLANNED[given]
    result = project.runpytest_subprocess(*WHATIF, *options)
    assert result.ret == 0
    result.stdout.fnmatch_lines(lines)


@pytest.mark.parametrize("given", first_of(*REFUSED))
def test_values_for_several_or_none_are_usage_errors(project: pytest.Pytester, given: str) -> None:
    options, message = REFUSED[given]
    result = project.runpytest_subprocess(*WHATIF, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{result.stdout}\n{result.stderr}".count(message) == 1
    assert "Traceback" not in str(result.stdout)


@pytest.mark.launches_mpi
@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("given", first_of("key of both", "key that its type has not"))
def test_usage_errors_appear_once_under_a_launcher(run_ranks: RunRanks, given: str) -> None:
    options, message = REFUSED[given]
    result = run_ranks(2, *WHATIF, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{result.stdout}\n{result.stderr}".count(message) == 1


UNUSABLE = {
    "absent:ENTRY": ("own", "a module that can be imported. No module named 'absent'"),
    "json:loads": ("own", "the place of a TypeEntry"),
    "json:load": ("kv_cache", "a name that no other type has"),
}


@pytest.mark.parametrize("value", UNUSABLE)
def test_entry_point_that_is_unusable_is_named_with_its_package(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    name, accepted = UNUSABLE[value]
    metadata = pytester.mkdir("site") / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[mlpstorage_bench.types]\n{name} = {value}\n")
    monkeypatch.setenv("PYTHONPATH", str(metadata.parent))
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    given = name if name == "kv_cache" else value
    (line,) = [line for line in result.stderr.lines if line]
    assert line == (
        f"ERROR: entry point mlpstorage_bench.types of theirs: got '{given}'; accepted: {accepted}"
    )


NOTE = (
    "copy_files has no profile mlperf: it takes its default, quick. To choose another: "
    "--mlps-profile=copy_files.NAME, where NAME is quick, or a file"
)
"""The note on a profile that one of two types has."""


@pytest.mark.long
def test_profile_that_one_type_has_leaves_a_note_on_the_other(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess(*WHATIF, "--mlps-profile=mlperf")
    assert result.ret == 0
    assert result.outlines.count(f"note: {NOTE}") == 1
    result.stdout.fnmatch_lines(["profile mlperf: *", "copy: 2 lanes of 4 files of 1 MiB"])
    for given in (("quick",), ("mlperf", "quick"), ("mlperf", "copy_files.quick")):
        options = [f"--mlps-profile={one}" for one in given]
        named = project.runpytest_subprocess(*WHATIF, *options)
        assert named.ret == 0
        named.stdout.no_fnmatch_line("note: * has no profile *")


@pytest.mark.long
def test_note_and_settings_of_a_type_are_in_its_run_alone(project: pytest.Pytester) -> None:
    project.makepyfile(test_both="def test_kv(kvcache): pass\n" + COPY_TEST)
    own = ("--mlps-set=copy_files.files=3", "--mlps-set=num_users=2")
    result = project.runpytest_subprocess(*SIMULATED, "--mlps-profile=mlperf", *own)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"mlpstorage: note: copy_files: {NOTE}"])
    runs = {name.split()[0]: run for name, run in runs_in(project).items()}
    params = {name: run["args"]["params"] for name, run in runs.items()}
    assert params == {"kv_cache": ["storage=null", "num_users=2"], "copy_files": ["files=3"]}
    assert runs["kv_cache"]["override_parameters"] == {"storage": "null", "num_users": "2"}
    notes = {name: run["mlpstorage"]["notes"] for name, run in runs.items()}
    assert NOTE in notes["copy_files"]
    assert not any("has no profile" in note for note in notes["kv_cache"])


@pytest.mark.long
def test_closed_mode_refuses_a_type_without_its_profile(project: pytest.Pytester) -> None:
    closed = ("--mlps-mode=closed", "--mlps-profile=mlperf", "--mlps-results-dir=results")
    result = project.runpytest_subprocess(*closed, "--mlps-cache-dir=cache")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.path / "results").exists()


OWN_TYPES = """
def test_training(training, training_workload): pass
def test_checkpoint(checkpointing, checkpointing_kind): pass
"""
REFUSALS = {
    "training": "a sanctioned training; only what rule 3.6.2 lists",
    "checkpoint": "the checkpoints of the rules",
}
REFUSED_BY_BOTH = ("--mlps-mode=closed", "--mlps-set=scale=0.01", "--mlps-cache-dir=cache")


@pytest.mark.slow
@pytest.mark.parametrize("chosen", REFUSALS)
def test_options_that_all_types_refuse_have_the_reason_of_the_tests_type(
    pytester: pytest.Pytester, chosen: str
) -> None:
    pytester.makepyfile(test_both=OWN_TYPES)
    result = pytester.runpytest(*REFUSED_BY_BOTH, "-k", chosen)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = f"{result.stdout}\n{result.stderr}"
    assert [name for name, reason in REFUSALS.items() if reason in text] == [chosen]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.launches_mpi
def test_ranks_have_the_reason_of_the_tests_type(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_both=OWN_TYPES)
    ranks = ("--mlps-num-processes=2", "--mlps-allow-run-as-root", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*REFUSED_BY_BOTH, *ranks, "-k", "training")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = f"{result.stdout}\n{result.stderr}"
    assert text.count(REFUSALS["training"]) == 1
    assert REFUSALS["checkpoint"] not in text
