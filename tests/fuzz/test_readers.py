"""Readers answer every input with a result or a usage error, in bounded memory and time.

`make fuzz SECONDS=600` tries as many inputs as there is time for.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import os
import time
from pathlib import Path

import hypothesis
import pytest
import zstandard
from hypothesis import settings

from mlpstorage_bench.errors import MlpsError
from tests.fuzz.bounds import bounded
from tests.fuzz.mutations import formless, mutated
from tests.fuzz.readers import READERS, Reader

FUZZ_SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""Time for all readers together; 0: a fixed number of inputs each."""
MIB = 1 << 20
each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


def read(reader: Reader, path: Path, data: bytes) -> str:
    """Return the text of the usage error; '' if the input was read."""
    path.write_bytes(data)
    with bounded():
        try:
            reader.read(path)
        except (MlpsError, argparse.ArgumentTypeError) as error:
            return str(error)
    return ""


def fuzz(reader: Reader, path: Path, seed: int | None) -> None:
    @settings(max_examples=reader.inputs if seed is None else 500)
    @hypothesis.given(mutated(reader.seeds) | formless())
    def ends_with_a_result_or_a_usage_error(data: bytes) -> None:
        message = read(reader, path, data)
        assert all(line.isprintable() for line in message.splitlines())

    if seed is not None:
        ends_with_a_result_or_a_usage_error = hypothesis.seed(seed)(
            ends_with_a_result_or_a_usage_error
        )
    ends_with_a_result_or_a_usage_error()


@pytest.mark.slow
@each_reader
def test_valid_input_is_read(reader: Reader, tmp_path: Path) -> None:
    for data in reader.seeds:
        assert read(reader, tmp_path / "input", data) == ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # it would hide what failed
@each_reader
def test_any_input_ends_with_a_result_or_a_usage_error(reader: Reader, tmp_path: Path) -> None:
    if not FUZZ_SECONDS:
        fuzz(reader, tmp_path / "input", None)
        return
    ends = time.monotonic() + FUZZ_SECONDS / len(READERS)
    while time.monotonic() < ends:
        fuzz(reader, tmp_path / "input", time.time_ns())


HOSTILE_IN_EACH_RUN = ("profile", "operations", "Mooncake", "metadata", "host file", "--mlps-set")
"""Readers that `make test` gives expensive inputs; `make test-long` gives them to all."""


@functools.cache
def zeros(count: int) -> bytes:
    """Return a zstd frame that expands to this many zeros."""
    compressor = zstandard.ZstdCompressor().compressobj()
    parts = [compressor.compress(bytes(MIB)) for _ in range(count // MIB)]
    return b"".join([*parts, compressor.flush()])


def hostile(reader: Reader) -> dict[str, bytes]:
    """Return inputs of about a mebibyte that are expensive to read, made of a valid one."""
    valid = reader.seeds[0]
    first, _, rest = valid.partition(b"\n")
    last = valid.rstrip(b"\n").rpartition(b"\n")[2] + b"\n"
    return {
        "brackets": b"[" * MIB,
        "braces": b'{"a":' * (MIB // 5),
        "nested lists of YAML": b"- " * (MIB // 2),
        "keys": b"a: {" * (MIB // 4),
        "digits": b"9" * MIB,
        "quote": b'"' + b"x" * MIB,
        "blank lines": b"\n" * MIB,
        "commas": b"," * MIB,
        "valid, then brackets": valid + b"[" * MIB,
        "repeated lines": valid + last * (MIB // len(last)),
        "wide line": first + b"\n" + rest * (MIB // max(1, len(rest))),
        "empty objects": b"[" + b"{}," * (MIB // 3) + b"{}]",
        "empty lists": b'{"timestamp": 0, "input_length": [' + b"[]," * (MIB // 3) + b"[]]}",
        "ranges": b"n[1-9999]\n" * (MIB // 10),
        "word": b"x" * MIB,
        "attributes": b"n " + b"slots=1 " * (MIB // 8),
        "gzip of zeros": gzip.compress(bytes(16 * MIB)),
        "zstd of zeros": zeros(1 << 30),
        "zstd of lines": zstandard.compress(valid + last * (20 * MIB // len(last))),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "reader",
    [
        pytest.param(one, marks=[] if one.name in HOSTILE_IN_EACH_RUN else pytest.mark.long)
        for one in READERS
    ],
    ids=lambda reader: reader.name,
)
def test_hostile_input_ends_in_bounded_memory_and_time(reader: Reader, tmp_path: Path) -> None:
    for data in hostile(reader).values():
        read(reader, tmp_path / "input", data)
