"""A directory of ours that pytest takes for its rootdir is named in the header."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("option", ["--mlps-cache-dir", "--mlps-results-dir"])
@pytest.mark.parametrize("joiner", ["=", " "])
def test_a_directory_taken_for_rootdir_is_named(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, option: str, joiner: str
) -> None:
    pytester.makepyfile("def test_one(): pass")
    elsewhere = Path(tmp_path_factory.mktemp("array"))
    given = f"{option}{joiner}{elsewhere}".split()
    result = pytester.runpytest(*given, "-p", "no:cacheprovider", "--collect-only")
    said = f"mlpstorage: pytest took the directory of {option} for one of tests*"
    if joiner == "=":
        result.stdout.no_fnmatch_line(said)
    else:
        result.stdout.fnmatch_lines([said])
