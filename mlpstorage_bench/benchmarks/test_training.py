"""Data loader of a training: each training of the profile, and scenarios.

A scenario changes the first training of the profile; values of the command line override it.
"""

import pytest

from mlpstorage_bench.training.fixture import Training

scenario = pytest.mark.mlps_scenario


def test_training(training: Training, training_workload: str) -> None:
    training.run(training_workload)


@scenario
def test_one_reader(training: Training) -> None:
    training.run(training.workloads[0], case="one-reader", read_threads=1)


@scenario
def test_page_cache(training: Training) -> None:
    training.run(training.workloads[0], case="page-cache", io_mode="buffered")
