"""Choice of the chunks whose content is checked when they are read, if not all are.

The choice is a hash of the entry's identity (seed, origin, name and generation), the chunk's number
and the number of the read. It thus depends on no order of chunks or lanes, and a chunk that is
passed over in one read has the same chance in the next: with a rate above 0, every chunk's turn
comes.
"""

from __future__ import annotations

import struct

import xxhash

_DRAWS = 1 << 64
_KEY = struct.Struct("<QQQ")


def is_checked(rate: float, identity: int, chunk: int, read: int) -> bool:
    """Return whether a share `rate` of all chunks and reads includes this chunk in this read."""
    if rate >= 1:
        return True
    return xxhash.xxh3_64_intdigest(_KEY.pack(identity, chunk, read)) < rate * _DRAWS
