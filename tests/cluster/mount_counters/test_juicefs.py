"""Counters of JuiceFS, on a sample in the form in which its client shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.juicefs import juicefs_source, object_storage_bytes
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import SourceFiles

STATS = """\
juicefs_blockcache_hit_bytes 8388608
juicefs_fuse_read_size_bytes_sum 16777216
juicefs_object_request_data_bytes_GET 4194304
juicefs_object_request_data_bytes_PUT 2.205155328e+09
juicefs_object_request_durations_histogram_seconds_GET_sum 0.25
juicefs_uptime 17.25
"""


def test_bytes_of_requests_are_read_not_those_of_calls() -> None:
    assert object_storage_bytes(STATS) == Traffic(4194304, 2205155328)


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-1", "1e400"])
def test_value_that_is_no_count_is_none(value: str) -> None:
    assert object_storage_bytes(f"juicefs_object_request_data_bytes_GET {value}") == Traffic(0, 0)


def test_statistics_are_found_in_the_mount(tmp_path: Path) -> None:
    mount = Mount(str(tmp_path), "fuse.juicefs", "JuiceFS:kv")
    assert juicefs_source(mount) is None
    (tmp_path / ".stats").write_text(STATS)
    source = juicefs_source(mount)
    assert isinstance(source, SourceFiles)
    assert (source.source.scope, source.source.strength) == ("host", "bound")
    reading = source.read()
    assert reading is not None
    assert reading.traffic == Traffic(4194304, 2205155328)
