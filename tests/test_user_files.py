"""Users' files are opened, and their paths looked up, by the functions that refuse politely."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "mlpstorage_bench"

OPENERS = frozenset({"open", "read_text", "read_bytes"})
"""Names of functions and methods that open a file."""
LOOKERS = frozenset({"exists", "is_dir", "is_file", "resolve", "iterdir"})
"""Names of methods of paths that raise where the system refuses to look."""
NO_PATHS = frozenset(
    {
        *("kind", "os", "self", "benchmark_type", "input_files", "scheduler", "window"),
        *("common", "measured", "of_copies"),
    }
)
"""Objects and modules with a function of one of these names that is no path's."""
PARSERS = frozenset({"json.load", "csv.reader", "csv.DictReader", "yaml.safe_load", "yaml.load"})
NAMES = OPENERS | LOOKERS | {name.rpartition(".")[2] for name in PARSERS}
CALLS = re.compile(rf"\b({'|'.join(sorted(NAMES))})\s*\(")
"""Text without a match has no call of interest, and need not be parsed."""

OWN = {
    "cluster": "files of the kernel, and digests of files that pytest has read",
    "history/former_tests.py": "a part of a test file, for a hint",
    "history/index_file.py": "the index, which is ours",
    "history/archive.py": "the index, which is ours",
    "history/metadata_files.py": "entries of the results directory; errors are reported",
    "inputs": "this is where users' files are opened",
    "profiles/values.py": "profiles of the package",
    "launch/command.py": "programs that have been started",
    "launch/parent_death.py": "files of a launch",
    "launch/status_channel.py": "files of a launch",
    "measure": "files of the kernel",
    "paths.py": "this is where users' paths are looked up, and outputs opened",
    "process": "files of the kernel",
    "pull_request/service.py": "answers of a service",
    "results/code_image.py": "regular files of an image, and of this package, for their digest",
    "results/run_directory.py": "the run's directory; errors are reported",
    "session/activation.py": "a test file that pytest has read",
    "report/gate_report.py": "the summary of GitHub's runner",
    "training/config/workload.py": "sizes of a dataset, no file",
    "leaves/leaf.py": "entries of a run's directory",
    "submission/copies.py": "new files in a directory that it makes",
    "submission/whole_directory.py": "entries of the temporary directory that it makes",
    "validation/tree.py": "directories below the root, which was looked up",
    "training/formats": "files of a dataset, which a generation made",
    "training/dataset": "files of a dataset, which a generation made",
    "training/runner": "files of a dataset, which a generation made",
    "storage": "cache files, and the cache directory, which was looked up",
}
"""Modules and packages that open or look up files that no user has named → these files."""


@functools.cache
def uses(path: Path) -> frozenset[str]:
    """Return the functions that a module calls to open, look up or parse files."""
    found: set[str] = set()
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if CALLS.search(text) else ():
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        of, _, name = called.rpartition(".")
        is_of_a_path = name in OPENERS | LOOKERS and of.rpartition(".")[2] not in NO_PATHS
        if called in {"open", *PARSERS} or (of and is_of_a_path):
            found.add(called)
    return frozenset(found)


def is_own(path: Path) -> bool:
    place = str(path.relative_to(ROOT))
    parents = path.relative_to(ROOT).parents
    return place in OWN or any(str(parent) in OWN for parent in parents)


@pytest.mark.slow
def test_modules_open_and_look_up_users_files_through_inputs_and_paths() -> None:
    found = {
        str(path.relative_to(ROOT)): uses(path)
        for path in sorted(ROOT.rglob("*.py"))
        if not is_own(path)
    }
    assert {place: calls for place, calls in found.items() if calls} == {}, (
        "use mlpstorage_bench.inputs and mlpstorage_bench.paths"
    )


def test_call_that_opens_or_looks_up_a_file_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def f(path):\n    return path.parent.is_dir (), open(path), json.load(path)")
    assert uses(module) == {"path.parent.is_dir", "open", "json.load"}
    module.with_name("other.py").write_text("def opened(self):\n    return self.open(), is_dir")
    assert uses(module.with_name("other.py")) == frozenset()


def test_text_goes_to_standard_output_in_every_encoding() -> None:
    """`process/stdout` replaces what a terminal's encoding lacks."""
    direct = re.compile(r"(?<![\w.])(?:print|sys\.stdout\.write)\(")
    found = [path for path in ROOT.rglob("*.py") if direct.search(path.read_text())]
    assert found == [], "use mlpstorage_bench.process.stdout"


@pytest.mark.slow
def test_exceptions_exist_and_need_to_be_ones() -> None:
    for place in OWN:
        path = ROOT / place
        modules = [path] if path.is_file() else list(path.rglob("*.py"))
        assert any(uses(module) for module in modules), place
