"""Opening of users' files: kinds, limits, compression and encoding."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mlpstorage_bench.errors import InvalidFileError
from mlpstorage_bench.inputs.compression import ALWAYS_ALLOWED
from mlpstorage_bench.inputs.files import LONGEST_LINE, open_lines, read_text
from mlpstorage_bench.paths import InputFile

MOST = 1 << 30
TEXT = "".join(f"line {number}, größer\n" for number in range(20_000))
Pack = Callable[[bytes], bytes]


def zstd_frames(data: bytes) -> bytes:
    half = len(data) // 2
    return zstd(data[:half]) + zstd(data[half:])


def gzip_members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:])


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


PACKS: list[Pack] = [gzip.compress, zstd, gzip_members, zstd_frames]


def named(path: Path) -> InputFile:
    return InputFile("--mlps-x", path, "a text file")


def read(folder: Path, data: bytes, most: int = MOST) -> str:
    path = folder / "input"
    path.write_bytes(data)
    with open_lines(named(path), most) as lines:
        text = "".join(lines)
    assert read_text(named(path), most) == text
    return text


def refuse(path: Path, message: str, most: int = MOST) -> None:
    with pytest.raises(InvalidFileError, match=message) as refused:
        read_text(named(path), most)
    assert str(refused.value).startswith("--mlps-x: got ")
    with pytest.raises(InvalidFileError, match=message), open_lines(named(path), most) as lines:
        list(lines)


@pytest.mark.parametrize("pack", PACKS)
def test_compressed_file_is_read_whatever_its_name(tmp_path: Path, pack: Pack) -> None:
    assert read(tmp_path, pack(TEXT.encode())) == TEXT


@pytest.mark.slow
@pytest.mark.parametrize("pack", PACKS)
def test_truncated_file_is_refused_wherever_it_is_cut(tmp_path: Path, pack: Pack) -> None:
    text, path = TEXT.encode(), tmp_path / "input"
    data, half = pack(text), text[: len(text) // 2]
    complete = {len(gzip.compress(half)), len(zstd(half))}
    steps = {*range(8, len(data), len(data) // 40), *range(len(data) - 12, len(data))}
    for cut in sorted(steps - complete):
        path.write_bytes(data[:cut])
        refuse(path, "truncated|damaged")


@pytest.mark.parametrize("pack", PACKS)
def test_damaged_file_is_refused(tmp_path: Path, pack: Pack) -> None:
    data = bytearray(pack(TEXT.encode()))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "input").write_bytes(data)
    refuse(tmp_path / "input", "damaged|truncated|not UTF-8")


@pytest.mark.slow
def test_garbage_after_a_compressed_file_is_refused(tmp_path: Path) -> None:
    for pack in PACKS:
        (tmp_path / "input").write_bytes(pack(TEXT.encode()) + b"garbage")
        refuse(tmp_path / "input", "damaged")


def test_frames_without_content_are_skipped(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"
    assert read(tmp_path, skippable + zstandard.compress(b"a\n") + skippable) == "a\n"


@pytest.mark.parametrize("pack", PACKS)
def test_data_that_expands_beyond_reason_is_refused(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "input").write_bytes(pack(b"\0" * (4 * ALWAYS_ALLOWED)))
    refuse(tmp_path / "input", "200 times its compressed size: decompress it first")


@pytest.mark.parametrize("pack", [bytes, *PACKS])
def test_file_beyond_its_limit_is_refused(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "input").write_bytes(pack(TEXT.encode()))
    refuse(tmp_path / "input", "more than 1000 bytes", most=1000)


def test_empty_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, b"") == ""


def test_line_beyond_its_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"short\n" + b"x" * (LONGEST_LINE + 1))
    with (
        pytest.raises(InvalidFileError, match=r"input, line 2'.*more than \d+ bytes"),
        open_lines(named(path), MOST) as lines,
    ):
        list(lines)


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa\nb\n") == "a\nb\n"
    assert read(tmp_path, gzip.compress(b"\xef\xbb\xbfa\n")) == "a\n"


def test_other_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"a\nb\nf\xfcr\n")
    refuse(path, "input, line 3'.*not UTF-8: byte 0xfc")
    path.write_bytes("name: x\n".encode("utf-16"))
    refuse(path, "input, line 1'.*It is UTF-16: save it as UTF-8")


@pytest.mark.parametrize(
    ("beginning", "name"),
    [(b"\xfd7zXZ\x00", "xz"), (b"BZh91AY", "bzip2"), (b"PK\x03\x04", "zip")],
)
def test_other_compression_is_refused_by_name(tmp_path: Path, beginning: bytes, name: str) -> None:
    (tmp_path / "input").write_bytes(beginning + bytes(100))
    refuse(tmp_path / "input", f"It is a {name} file: decompress it")


def test_path_to_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, kind in (
            ("pipe", "a pipe"),
            ("link", "a pipe"),
            ("socket", "a socket"),
            ("", "a directory"),
            ("/dev/zero", "a device"),
            ("/dev/full", "a device"),
        ):
            refuse(tmp_path / name, f"It is {kind}, and no regular file")


def test_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, reason in (
        ("missing", "No such file"),
        ("x" * 300, "File name too long"),
        ("loop", "symbolic links"),
        ("nul\0", "null (byte|character)"),
    ):
        refuse(tmp_path / name, reason)


def test_file_without_end_in_proc_is_refused() -> None:
    refuse(Path("/proc/kallsyms"), "more than 100 bytes", most=100)
