"""Secrets in texts, JSON and sources of mounts: credentials in URLs, values of secret names."""

from __future__ import annotations

import pytest

from mlpstorage_bench.redaction.text import REMOVED, redact_json, redact_mount_source, redact_text
from tests.fuzz.bounds import bounded


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            "see https://me:hush@host/x and http://host:80/a@b",
            "see https://host/x and http://host:80/a@b",
        ),
        ("https://me:hu/sh@host/x", "https://host/x"),
        ("https://me:hu@sh@host/x", "https://host/x"),
        ("https://hush@host/x?a=1&sig=hush&b=2", "https://host/x?a=1&sig=***&b=2"),
        ("//me:hush@server/share", "//server/share"),
        ("failed: DB_PASSWORD='hush hush', a=b", "failed: DB_PASSWORD=***, a=b"),
        ("a=AWS_SECRET_ACCESS_KEY=hush", "a=AWS_SECRET_ACCESS_KEY=***"),
        ("--header 'Authorization: Bearer hush' -v", "--header 'Authorization: ***' -v"),
        ("X-Api-Key: hush\nA: b", "X-Api-Key: ***\nA: b"),
        ('got {"password": "hush", \'n\': 1}', "got {\"password\": ***, 'n': 1}"),
        ("p95 per-token: 5 ms, pass: 3 of 4, tokens_per_block: 16", None),
        ("author=me tokens=5 keyed_by=turn pool@snap /a//b@c", None),
        ("http://[::1]:80/a@b git+ssh://host/x", None),
    ],
)
def test_text_omits_credentials_and_secret_values(given: str, kept: str | None) -> None:
    assert redact_text(given) == (given if kept is None else kept)


@pytest.mark.parametrize(
    ("fstype", "given", "kept"),
    [
        ("fuse.sshfs", "me@host:/x", "host:/x"),
        ("fuse.sshfs", "me:hush@host:/x", "host:/x"),
        ("fuse.s3fs", "id:hush@bucket", "bucket"),
        ("fuse", "https://me:hush@host/x", "https://host/x"),
        ("davfs", "https://me:hush@host/x", "https://host/x"),
        ("cifs", "//me:hush@server/share", "//server/share"),
        ("lustre", "10.0.0.1@tcp:10.0.0.2@tcp:/fs", None),
        ("nfs4", "server:/export/a@b", None),
        ("zfs", "pool@snap", None),
        ("ext4", "/dev/sda1", None),
    ],
)
def test_mount_source_omits_credentials(fstype: str, given: str, kept: str | None) -> None:
    assert redact_mount_source(fstype, given) == (given if kept is None else kept)


def test_json_is_redacted_at_any_depth() -> None:
    given = {"a": ["https://me:hush@h/", 1, None], "b": {"token": "hush", "tokens": "5"}}
    kept = {"a": ["https://h/", 1, None], "b": {"token": REMOVED, "tokens": "5"}}
    assert redact_json(given) == kept


def test_lists_of_a_secret_name_lose_their_texts_and_numbers_stay() -> None:
    given = {"passwords": ["hush", ["hush"], 3], "bytes_per_token": {"unit": "B", "values": [2]}}
    kept = {"passwords": [REMOVED, [REMOVED], 3], "bytes_per_token": given["bytes_per_token"]}
    assert redact_json(given) == kept


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        *("x", "passw", "auth-", "a.", "http://", "//", "x://u:", "a:b@", "x=", "x='", "x :", " "),
        *("cookie:", 'a"b:', "x-key-"),
    ],
)
def test_long_text_is_searched_in_linear_time(part: str) -> None:
    """A quadratic search of this text would take minutes."""
    text = part * (1_000_000 // len(part))
    with bounded():
        assert len(redact_text(text)) <= len(text) + 2 * text.count("=")
