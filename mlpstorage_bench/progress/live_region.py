"""Lines below the cursor of a terminal, which is put back to where others write.

rich keeps the cursor of its live display at its own lines, which breaks the dots of pytest. Here
the cursor's place is saved before the region is drawn. It is restored right after, or, where a
launcher holds back what no newline follows, at the next update.
"""

from __future__ import annotations

from collections.abc import Sequence

_DOWN_SCROLLING = "\x1bD"
"""Index: one line down in the same column; scrolls on the last line."""
_UP = "\x1b[{}A"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[2K", "\x1b[J"


class LiveRegion:
    """The text that draws a region, replaces it and removes it."""

    def __init__(self, *, ends_lines: bool) -> None:
        self._ends_lines = ends_lines
        """Whether each update has to end with a newline."""
        self._is_away = False
        """Whether the cursor is below the region."""

    def drawn(self, lines: Sequence[str]) -> str:
        """Return the text that replaces all below the cursor's place by these lines.

        They have to be shorter than the terminal is wide, and fewer than it is high.
        """
        height = len(lines) + self._ends_lines
        space = _DOWN_SCROLLING * height + _UP.format(height)
        below = "".join(f"\r\n{_CLEAR_LINE}{line}" for line in lines)
        text = f"{self.erased()}{space}{_SAVE}{below}"
        self._is_away = self._ends_lines
        return text + ("\r\n" if self._ends_lines else _RESTORE)

    def erased(self) -> str:
        """Return the text that removes the region, and puts the cursor back."""
        back = _RESTORE if self._is_away else ""
        self._is_away = False
        return f"{back}{_CLEAR_BELOW}"
