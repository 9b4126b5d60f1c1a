"""Stores that inject errors and delays that real storage cannot produce on demand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.store import ChunkReader, ChunkWriter, Observer, Store


class Faulty:
    """A store in which one transfer fails with an errno, or all transfers from one on."""

    stores_data = True

    def __init__(
        self, store: Store, number: int, at_transfer: int, *, for_good: bool = False
    ) -> None:
        self._store = store
        self._number = number
        self._left = at_transfer
        self._for_good = for_good
        self.footprint = store.footprint
        self.delete = store.delete
        self.close = store.close

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[ChunkWriter]:
        with self._store.writer(name, size, observer) as writer:
            put = writer.put
            yield _Wrapped(self, put, put, writer)  # type: ignore[arg-type]  # `get` is never called

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[ChunkReader]:
        with self._store.reader(name, observer) as reader:
            yield _Wrapped(self, reader.get, reader.get, reader)

    def fail_when_due(self, action: str, path: str) -> None:
        self._left -= 1
        if self._left == 0 or (self._left < 0 and self._for_good):
            raise storage_error(action, path, OSError(self._number, os.strerror(self._number)))


class _Wrapped:
    def __init__(self, faulty: Faulty, put: Any, get: Any, inner: ChunkReader) -> None:
        self._faulty, self._put, self._get, self._inner = faulty, put, get, inner

    def put(self, data: memoryview, offset: int) -> None:
        self._faulty.fail_when_due("writing", "the file")
        self._put(data, offset)

    def get(self, data: memoryview, offset: int) -> None:
        self._faulty.fail_when_due("reading", "the file")
        self._get(data, offset)

    def locate(self, offset: int) -> Any:
        return self._inner.locate(offset)


class Slow:
    """A store with a pause before each entry."""

    def __init__(self, store: Store, pause_s: float) -> None:
        self._store = store
        self._pause_s = pause_s
        self.stores_data = store.stores_data
        self.footprint = store.footprint
        self.delete = store.delete
        self.close = store.close

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[ChunkWriter]:
        with self._store.writer(name, size, observer) as writer:
            time.sleep(self._pause_s)
            yield writer

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[ChunkReader]:
        with self._store.reader(name, observer) as reader:
            time.sleep(self._pause_s)
            yield reader
