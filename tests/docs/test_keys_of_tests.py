"""Keys that a test may give: the page on checkpoints lists those that the fixture accepts."""

from __future__ import annotations

import re

from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.fixture import OF_ALL_CASES
from tests.docs.pages import PROJECT


def test_page_has_the_keys_that_a_test_of_checkpoints_may_give() -> None:
    page = (PROJECT / "docs" / "checkpointing.md").read_text()
    _, found = page.split("These [keys](#keys) may be given", 1)
    listed = re.findall(r"`([a-z_]+)`", found.splitlines()[1])
    assert listed == sorted(Parameters.model_fields.keys() - OF_ALL_CASES)
