"""Benchmarks of the storage under LLM key/value caches, as pytest test cases under MPI."""

from importlib.metadata import version

__version__ = version("mlpstorage-bench")
