"""Libraries that a process was started with, and those that are mapped in it."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.process.preloads import Preloads, mapped_libraries, read_preloads
from tests.preloads import HARMLESS, build, output_with

SCRIPT = """
import os
os.environ.pop("LD_PRELOAD")
from mlpstorage_bench.process.preloads import mapped_libraries, read_preloads
print(read_preloads().ld_preload)
print(*mapped_libraries(), sep="\\n")
"""


def in_folder(folder: Path, environ: bytes, preload_file: str | None = None) -> Preloads:
    (folder / "self").mkdir()
    (folder / "self" / "environ").write_bytes(environ)
    file = folder / "ld.so.preload"
    if preload_file is not None:
        file.write_text(preload_file)
    return read_preloads(folder, file)


def test_variables_are_those_of_the_process_s_start(tmp_path: Path) -> None:
    found = in_folder(tmp_path, b"A=1\0LD_PRELOAD=/opt/a.so:/opt/b.so\0LD_AUDIT=/opt/c.so\0")
    assert found == Preloads("/opt/a.so:/opt/b.so", "/opt/c.so", ())


def test_libraries_of_the_host_are_read_without_comments(tmp_path: Path) -> None:
    found = in_folder(tmp_path, b"A=1\0", "# all\n/opt/a.so /opt/b.so # both\n/opt/c.so:/opt/d.so")
    assert found == Preloads(of_host=("/opt/a.so", "/opt/b.so", "/opt/c.so", "/opt/d.so"))


def test_process_without_any_has_empty_facts(tmp_path: Path) -> None:
    assert in_folder(tmp_path, b"A=1\0") == Preloads()


def test_blanks_in_a_path_are_kept_and_other_mappings_left_out(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "maps").write_text(
        "55d0-55d1 r-xp 00000000 08:01 12   /opt/my tools/lib a.so\n"
        "55d1-55d2 r--p 00000000 08:01 13   /opt/data\n"
        "7ff0-7ff1 r-xp 00000000 00:00 0    [vdso]\n"
        "7ff1-7ff2 rwxp 00000000 00:00 0 \n"
        "55d2-55d3 r-xp 00001000 08:01 12   /opt/my tools/lib a.so\n"
    )
    assert mapped_libraries(tmp_path) == ("/opt/my tools/lib a.so",)


def test_removed_variable_of_a_real_preload_is_still_seen(tmp_path: Path) -> None:
    library = build(tmp_path, HARMLESS)
    variable, *mapped = output_with(library, SCRIPT).splitlines()
    assert variable == str(library)
    assert str(library) in mapped
