"""The command lines that the studies give to fio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.harness.call_mix import CallMix, call_mix, percentages
from benchmarks.harness.fio import CHECKED, HUGE, arguments, timing
from benchmarks.harness.flat_load import Load
from mlpstorage_bench.units import KIB, MIB


@pytest.mark.parametrize(("share", "pattern"), [(1.0, "read"), (0.0, "write"), (0.7, "rw")])
def test_load_is_given_to_fio(share: float, pattern: str) -> None:
    load = Load(64 * KIB, 4, 4, share, file_bytes=MIB)
    given = arguments(Path("/data/file"), load, "direct", HUGE)
    expected = {
        "--filename=/data/file",
        f"--size={MIB}",
        "--bs=65536",
        f"--rw={pattern}",
        f"--rwmixread={share * 100:.0f}",
        "--direct=1",
        "--iomem=shmhuge",
        "--iodepth=16",
    }
    assert expected <= set(given)


def test_durations_are_whole_milliseconds() -> None:
    assert timing(0.7, 0.15) == ["--time_based", "--runtime=700ms", "--ramp_time=150ms"]
    assert timing(0.5, 0) == ["--time_based", "--runtime=500ms"]


def test_checked_writes_are_made_anew_and_not_read_back() -> None:
    assert CHECKED["read"] == ("--verify=xxhash", "--verify_state_save=0")
    assert CHECKED["write"] == (*CHECKED["read"], "--do_verify=0", "--refill_buffers")


def test_sizes_are_whole_percentages_of_a_hundred() -> None:
    assert percentages({MIB: 985, 128 * KIB: 11, 256 * KIB: 4}) == "131072/1:1048576/99"
    assert percentages({4096: 1, 8192: 1, 12288: 1}) == "4096/34:8192/33:12288/33"


def test_mix_is_that_of_the_calls_of_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(
        "Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase\n"
        f"0.0,Write,{3 * MIB},storage,a,Prefill\n"
        f"0.1,Read,{MIB + 4000},storage,a,Decode\n"
        f"0.2,Read,{9 * MIB},cpu,b,Decode\n"
    )
    mix = call_mix(trace, MIB)
    assert mix == CallMix(Counter({MIB: 1, 4096: 1}), Counter({MIB: 3}), calls_per_entry=2)
    assert mix.fio_options(read_share=0.4) == [
        "--rw=randrw:2",
        "--bssplit=4096/50:1048576/50,1048576/100",
        "--rwmixread=40",
        "--norandommap",
    ]
