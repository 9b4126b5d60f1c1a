"""How the reference's figures of kv_cache are defined, against those of this project."""

from __future__ import annotations

BYTES = (
    "bytes and tokens of requests that end after the window count, and are divided by the window "
    "alone (reference); only what ends inside the window counts (ours)"
)
PERCENTILES = (
    "a p95 is the greatest of those of ranks and trials (reference); it is of all samples together "
    "(ours)"
)
UNLIKE_OURS = (BYTES, PERCENTILES)
"""Sentences for the user, where figures of both stand side by side."""
