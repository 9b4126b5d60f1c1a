"""Every private or undocumented name of pytest, pytest-benchmark and pytest-mpi that is used here.

tests/session/test_pytest_internals.py fails when a release moves one.
"""
