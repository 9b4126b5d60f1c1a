"""Sizes of the files that libraries wrote: 8 bytes for each file, in their order.

Raw files have sizes that follow from the dataset. Those of a library depend on its release, so that
they are kept when the files are made: a file that was cut since is not taken for one that exists.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.training.dataset.digests import write_digests

UNKNOWN = 0
"""Size of a file of which it was not kept, as by versions before this one."""


def write_size(path: Path, file: int, size: int) -> None:
    """Keep the size of a file, by its number from 0."""
    write_digests(path, file, array("Q", [size]))


def read_sizes(path: Path) -> NDArray[np.uint64]:
    """Return the sizes of the first files, UNKNOWN among them where one was not kept."""
    try:
        return np.fromfile(path, dtype="<u8").astype(np.uint64, copy=False)
    except FileNotFoundError:
        return np.zeros(0, np.uint64)
    except OSError as error:
        raise storage_error("reading", path, error) from error
