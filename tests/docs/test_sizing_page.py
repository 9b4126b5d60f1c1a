"""docs/sizing.md: bytes per token of the models that it lists."""

from __future__ import annotations

import re

from mlpstorage_bench.kvcache.config.models import MODELS
from tests.docs.pages import PROJECT

_ROW = re.compile(r"^\| `(?P<model>[\w.-]+)` \| (?P<sizes>[\d.]+ \| [\d.]+) \|$", re.MULTILINE)


def test_bytes_per_token_are_those_of_the_models() -> None:
    page = (PROJECT / "docs" / "sizing.md").read_text()
    listed = {
        row["model"]: [float(size) for size in row["sizes"].split(" | ")]
        for row in _ROW.finditer(page)
        if row["model"] in MODELS
    }
    assert len(listed) == 5
    assert listed == {
        model: [MODELS[model].bytes_per_token(dtype) / 1024 for dtype in ("float16", "float8")]
        for model in listed
    }
