"""Copy of one output of a launch in the run's directory: text alone, without secrets, bounded.

Lines wait in memory until rank 0 has reported where the run's directory is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.redaction.text import redact_text

MOST_BYTES = 8 << 20
"""Largest copy of one part of a run; the terminal shows the rest."""
_MOST_WAITING = 1 << 20
"""Most bytes that wait for the run's directory."""
_LONGEST_LINE = 1 << 16
"""Length in bytes after which the rest of a line is left out."""
_STYLES = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
"""Colors, and movements of the cursor."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_ENDED = "mlpstorage: the rest of the output is not kept here"


class OutputLog:
    """Writes lines to a file as they come."""

    def __init__(self, path: Callable[[], str | None]) -> None:
        self._path = path
        self._line = b""
        self._is_skipping = False
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._left = MOST_BYTES
        self._file: int | None = None
        self.problem = ""
        """Why the copy is not complete; '' if it is."""

    def add(self, data: bytes) -> None:
        """Take a part of the output."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._keep(part)
            if not self._is_skipping:
                self._write(self._line)
            self._line, self._is_skipping = b"", False
        self._keep(rest)

    def close(self) -> None:
        """Write what is left, and close the file."""
        if self._line:
            self.add(b"\n")
        self._flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _keep(self, part: bytes) -> None:
        """Add a part to the current line; of a line that is too long, the beginning is written."""
        if self._is_skipping:
            return
        self._line += part
        if len(self._line) > _LONGEST_LINE:
            self._write(self._line[:_LONGEST_LINE].rpartition(b" ")[0] + b" ...")
            self._is_skipping = True

    def _write(self, line: bytes) -> None:
        if self.problem or not self._left:
            return
        last = line.rstrip(b"\r").rpartition(b"\r")[2]  # a terminal shows it over what was before
        text = _STYLES.sub(b"", last).decode("utf-8", "replace")
        shown = for_terminal(redact_text(text.expandtabs()))
        kept = f"{shown}\n".encode("utf-8", "backslashreplace")
        if len(kept) > self._left or self._waiting_bytes > _MOST_WAITING:
            kept, self._left = f"{_ENDED}\n".encode(), 0
        else:
            self._left -= len(kept)
        self._waiting.append(kept)
        self._waiting_bytes += len(kept)
        self._flush()

    def _flush(self) -> None:
        path = None if self._file is not None or self.problem else self._path()
        try:
            if path is not None:
                self._file = os.open(path, _FLAGS, 0o666)
            if self._file is not None:
                data = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                while data:
                    data = data[os.write(self._file, data) :]
        except OSError as error:
            self.problem = f"{path or 'its file'}: {error.strerror or error}"
            self._waiting.clear()
