"""Metrics that the tables and drawings of cases show, in their order."""

from __future__ import annotations

from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.report.case_table import bandwidth_metrics
from mlpstorage_bench.units import GIB_PER_S


def test_reads_are_the_first_bandwidths_whatever_their_titles() -> None:
    titles = {
        "write_gib_s": "read and written GiB/s",
        "copy_gib_s": "read twice GiB/s",
        "read_gib_s": "from storage GiB/s",
    }
    described = {
        name: Description(name, title, GIB_PER_S, shown=Shown.LISTS, has_spread=True)
        for name, title in titles.items()
    }
    assert [one.name for one in bandwidth_metrics(described)] == [
        "read_gib_s",
        "write_gib_s",
        "copy_gib_s",
    ]
