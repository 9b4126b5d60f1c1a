"""Benchmarks that the package brings: `pytest --pyargs mlpstorage_bench.benchmarks`."""
