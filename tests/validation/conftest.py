"""A made-up submission with runs of every benchmark type."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.validation.trees import Submission


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    made = Submission(tmp_path / "tree")
    made.write()
    made.add_training()
    made.add_checkpointing()
    made.add_vectors()
    return made
