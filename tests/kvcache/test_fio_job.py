"""Conversion of a trace to an fio job: mix and sizes of the trace, and a run of fio."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.fio_job import fio_job
from mlpstorage_bench.units import MIB

HEADER = "Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase\n"
MIXED = HEADER + "".join(
    f"{number / 10},{operation},{4 * MIB},storage,key{number // 5},Prefill\n"
    for number, operation in enumerate(["Write", "Read", "Read", "Read", "Read"] * 20)
)


def job_of(folder: Path, text: str) -> str:
    trace = folder / "trace.csv"
    trace.write_text(text)
    return fio_job(trace)


def test_job_has_the_trace_s_mix_sizes_and_length(tmp_path: Path) -> None:
    lines = job_of(tmp_path, MIXED).splitlines()
    assert {"bs=1048576", "rw=randrw:4", "rwmixread=80", "runtime=10s", "direct=1"} <= set(lines)
    assert {"; 80 reads of 0.31 GiB", "; 20 writes of 0.08 GiB"} <= set(lines)


@pytest.mark.parametrize(
    ("operation", "pattern"), [("Read", "randread:1"), ("Write", "randwrite:1")]
)
def test_job_of_one_kind_has_no_mix(tmp_path: Path, operation: str, pattern: str) -> None:
    lines = job_of(tmp_path, f"{HEADER}0.0,{operation},10000,storage,a,Decode\n").splitlines()
    assert f"rw={pattern}" in lines
    assert "bs=12288" in lines
    assert not [line for line in lines if line.startswith("rwmixread")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER, "It has none"),
        (f"{HEADER}0.0,Read,4096,cpu,a,Decode\n", "It has none"),
        (f"{HEADER}0.0,Read,many,storage,a,Decode\n", "line 2"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "a trace of operations"),
    ],
)
def test_file_without_operations_on_storage_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"--mlps-fio-job: got .*{said}"):
        job_of(tmp_path, text)


@pytest.mark.skipif(shutil.which("fio") is None, reason="fio is not installed (package fio)")
def test_fio_runs_it(tmp_path: Path) -> None:
    job = tmp_path / "job.fio"
    job.write_text(job_of(tmp_path, MIXED).replace("runtime=10s", "runtime=1s"))
    environment = {**os.environ, "DIRECTORY": str(tmp_path), "SIZE": "64m"}
    command = ["fio", "--output-format=json", str(job)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    (seen,) = json.loads(done.stdout)["jobs"]
    share = seen["read"]["io_bytes"] / (seen["read"]["io_bytes"] + seen["write"]["io_bytes"])
    assert share == pytest.approx(0.8, abs=0.1)
    without_size = {**os.environ, "DIRECTORY": str(tmp_path)}
    refused = subprocess.run(
        command, env=without_size, capture_output=True, check=False, timeout=60
    )
    assert refused.returncode != 0, "a size is the user's to choose"
