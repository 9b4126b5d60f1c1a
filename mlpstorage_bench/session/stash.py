"""Keys under which a session keeps its objects in pytest's config and tests."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlpstorage_bench.mpi.comm import Comm
    from mlpstorage_bench.session.session import MlpsSession

COMM: pytest.StashKey[Comm] = pytest.StashKey()
"""Key of the ranks in pytest's config, after they have joined."""
SESSION: pytest.StashKey[MlpsSession] = pytest.StashKey()
"""Key of the session in pytest's config, in sessions that use this plugin."""
COMMAND = pytest.StashKey[argparse.Namespace]()
"""Key, in pytest's config, of the options of a command that prints and exits."""
HAS_PASSED = pytest.StashKey[bool]()
"""Key, in a test, of whether its call has passed."""
