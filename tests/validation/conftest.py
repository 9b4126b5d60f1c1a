"""A made-up submission with runs of every benchmark type."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.validation.trees import Submission, submission_of_every_type


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return submission_of_every_type(tmp_path / "tree")
