"""Stamps of sectors: an entry's identity and a sector's number, mixed invertibly into 64 bits.

The mixing is the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), seeded with the
identity. The sum that it begins with is linear in number and generation, so that the products of
the numbers are computed once, and a stamp reveals which sector of which generation it belongs to.
"""

from __future__ import annotations

import threading
from array import array

import numpy as np
from numpy import add, bitwise_xor, multiply, right_shift
from numpy.typing import NDArray

Words = NDArray[np.uint64]

GOLDEN = 0x9E3779B97F4A7C15
MAX_SECTORS = 1 << 30
"""Largest entry in sectors: 4 TiB. Each generation has numbers that are higher by this."""
MOST_STAMPS = 4096
"""Largest number of stamps that are made at once: they and their products take 64 KiB."""
MOST_FIRST = 256
"""Largest number of stamps that `FirstStamps` makes."""
WORD = 1 << 64
_MASK = WORD - 1
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_FEW = 4
"""So many stamps are made faster one by one than by NumPy, whose calls take 0.2 µs each."""
_KNOWN_GENERATIONS = 1 << 24
"""Stamps of up to this many earlier generations are recognized; a random word is mistaken for one
with a probability of 1/1000."""


def _constant(value: int) -> Words:
    """Return an array without dimensions, which NumPy combines faster than other scalars."""
    return np.array(value, dtype=np.uint64)


_GOLDEN = _constant(GOLDEN)
_MULTIPLY_1, _MULTIPLY_2 = _constant(_MIX_1), _constant(_MIX_2)
_SHIFT_30, _SHIFT_27, _SHIFT_31 = _constant(30), _constant(27), _constant(31)
_PRODUCTS: Words = np.arange(MOST_STAMPS, dtype=np.uint64) * _GOLDEN
_FEW_PRODUCTS = tuple(number * GOLDEN for number in range(_FEW))


def stamps_of(identity: int, first: int, count: int) -> Words:
    """Return the stamps of consecutive sectors of an entry, at most `MOST_STAMPS`."""
    start = np.uint64((identity + first * GOLDEN) & _MASK)
    mixed = _PRODUCTS[:count] + start
    _mix(mixed, np.empty_like(mixed))
    return mixed


def stamps_of_numbers(numbers: Words, identities: Words) -> Words:
    """Return the stamp of each sector, given its number and the identity of its entry."""
    mixed = numbers * _GOLDEN + identities
    _mix(mixed, np.empty_like(mixed))
    return mixed


class FirstStamps(threading.local):
    """Memory in which a thread makes the stamps of an entry's first sectors.

    Most entries are small. Memory that is allocated and divided once saves half of the time.
    """

    def __init__(self) -> None:
        self.here = _FirstStamps()
        """The calling thread's own."""


class _FirstStamps:
    __slots__ = ("_identity", "_identity_word", "_mixed", "_parts", "_shifted", "_words", "key")

    def __init__(self) -> None:
        self._identity = array("Q", [0])
        self._identity_word: Words = np.frombuffer(self._identity, np.uint64).reshape(())
        self._words = array("Q", bytes(8 * MOST_FIRST))
        self._mixed: Words = np.frombuffer(self._words, np.uint64)
        self._shifted = np.empty_like(self._mixed)
        self._parts: dict[int, tuple[Words, Words, Words]] = {}
        """Products, result and scratch memory, by number of sectors."""
        self.key: Words = self._mixed[:1].reshape(())
        """The first sector's stamp, without dimensions."""

    def make(self, identity: int, count: int) -> Words:
        """Return the stamps of the first `count` sectors, which the next call overwrites."""
        parts = self._parts.get(count)
        if parts is None:
            parts = self._parts[count] = (
                _PRODUCTS[:count],
                self._mixed[:count],
                self._shifted[:count],
            )
        products, mixed, shifted = parts
        if count <= _FEW:
            self._make_few(identity, count)
            return mixed
        self._identity[0] = identity
        add(products, self._identity_word, mixed)
        _mix(mixed, shifted)
        return mixed

    def _make_few(self, identity: int, count: int) -> None:
        words = self._words
        for number in range(count):
            mixed = identity + _FEW_PRODUCTS[number] & _MASK
            mixed = (mixed ^ mixed >> 30) * _MIX_1 & _MASK
            mixed = (mixed ^ mixed >> 27) * _MIX_2 & _MASK
            words[number] = mixed ^ mixed >> 31


def _mix(mixed: Words, shifted: Words) -> None:
    """Mix words in place; `shifted` is scratch memory of the same shape."""
    right_shift(mixed, _SHIFT_30, shifted)
    bitwise_xor(mixed, shifted, mixed)
    multiply(mixed, _MULTIPLY_1, mixed)
    right_shift(mixed, _SHIFT_27, shifted)
    bitwise_xor(mixed, shifted, mixed)
    multiply(mixed, _MULTIPLY_2, mixed)
    right_shift(mixed, _SHIFT_31, shifted)
    bitwise_xor(mixed, shifted, mixed)


def describe_stamp(found: Words, identity: int) -> str:
    """Return a phrase that says to which entry a sector's stamp belongs."""
    if not found.any():
        return "is all zeros"
    later, number = divmod(_number(int(found[0]), identity), MAX_SECTORS)
    if not later:
        return f"has the stamp of sector {number} of the same entry"
    if WORD // MAX_SECTORS - later <= _KNOWN_GENERATIONS:
        return f"has the stamp of sector {number} of an earlier entry of this name"
    return (
        f"has no stamp of this entry (seen {int(found[0]):016x}): it is from another entry, or "
        "from before this trial"
    )


def _number(stamp: int, identity: int) -> int:
    """Return the number of the sector of this entry with this stamp: the inverse of mixing.

    Each later generation has numbers that are `MAX_SECTORS` higher, modulo 2^64.
    """
    mixed = _unshift(stamp, 31) * pow(_MIX_2, -1, WORD) % WORD
    mixed = _unshift(mixed, 27) * pow(_MIX_1, -1, WORD) % WORD
    return (_unshift(mixed, 30) - identity) * pow(GOLDEN, -1, WORD) % WORD


def _unshift(mixed: int, bits: int) -> int:
    """Return the x for which x ^ (x >> bits) is `mixed`."""
    x = mixed
    for _ in range(64 // bits):
        x = mixed ^ (x >> bits)
    return x
