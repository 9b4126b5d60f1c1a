from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.export.write import Export, check_format, parse_exports, write_export
from mlpstorage_bench.paths import check_outputs
from tests.export.exported import whole_run

FORMATS = ("prometheus", "openmetrics", "json", "csv")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("promethius:a.prom", "accepted: FORMAT:FILE.*Did you mean 'prometheus'"),
        ("json", "got 'json'; accepted: FORMAT:FILE, with a format of prometheus, openmetrics"),
        ("json:", "accepted: FORMAT:FILE"),
        ("json:/nowhere/at/all.json", "accepted: a file in a directory that exists"),
    ],
)
def test_value_that_names_no_format_or_file_is_refused(value: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^--mlps-export: .*{message}"):
        parse_exports([value])


@pytest.mark.parametrize("name", FORMATS)
def test_file_of_an_earlier_run_is_replaced_as_a_whole(name: str, tmp_path: Path) -> None:
    export = Export(name, tmp_path / "run.out")
    write_export(export, whole_run())
    first = export.path.stat().st_ino
    check_outputs([export.as_output()], [])
    write_export(export, whole_run())
    assert export.path.stat().st_ino != first
    assert [*tmp_path.iterdir()] == [export.path]


@pytest.mark.parametrize("name", FORMATS)
def test_file_of_other_content_is_refused(name: str, tmp_path: Path) -> None:
    other = tmp_path / "node.prom"
    other.write_text("# HELP node_load1 1m load average.\n")
    with pytest.raises(InvalidInputError, match="no run of mlpstorage_bench has written it"):
        check_outputs([Export(name, other).as_output()], [])


def test_format_whose_extra_is_missing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    check_format(Export("csv", tmp_path / "a.csv"))
    with pytest.raises(
        InvalidInputError, match=r"accepted: json or csv.*mlpstorage-bench\[export\]"
    ):
        check_format(Export("openmetrics", tmp_path / "a.om"))


def test_two_formats_of_one_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    assert len(parse_exports([f"json:{file}", f"json:{file}"])) == 1
    with pytest.raises(InvalidInputError, match="another file: json is written to this one"):
        parse_exports([f"json:{file}", f"csv:{file}"])
