"""The package's own benchmarks, so that `pytest benchmarks/` runs them from a checkout."""

# All tests, in the order of their file.
from mlpstorage_bench.benchmarks.test_checkpointing import *  # noqa: F403 - a list would lose the order
