"""The region in a real terminal emulator: tmux draws, and its screen is read."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.progress.live_region import LiveRegion

pytestmark = [
    pytest.mark.starts_process,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
Screen = Callable[[str], list[str]]


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    """Return a function that writes a text to a terminal of 40 x 8, and returns its lines."""
    socket = str(tmp_path / "tmux")

    def tmux(*arguments: str) -> str:
        command = ["tmux", "-S", socket, "-f", "/dev/null", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    def show(text: str) -> list[str]:
        (tmp_path / "text").write_bytes(text.encode())
        command = f"cat {tmp_path}/text; touch {tmp_path}/written; exec sleep 600"
        tmux("new-session", "-d", "-x", "40", "-y", "8", command)
        while not (tmp_path / "written").exists():
            time.sleep(0.05)
        return tmux("capture-pane", "-p").splitlines()

    yield show
    tmux("kill-server")


def test_others_go_on_writing_where_they_were(screen: Screen) -> None:
    region = LiveRegion(ends_lines=False)
    first, second = region.drawn(["one", "two"]), region.drawn(["three", "four"])
    shown = screen(f"test_a.py .{first}.{second}.")
    assert [line.rstrip() for line in shown][:4] == ["test_a.py ...", "three", "four", ""]


@pytest.mark.parametrize("ends_lines", [False, True])
def test_region_at_the_bottom_scrolls_and_is_erased(
    screen: Screen,
    ends_lines: bool,  # noqa: FBT001 - a parameter
) -> None:
    region = LiveRegion(ends_lines=ends_lines)
    first, second = region.drawn(["one", "two"]), region.drawn(["three", "four", "five"])
    assert first.endswith("\n") is ends_lines
    above = "".join(f"line {number}\r\n" for number in range(20))
    shown = screen(f"{above}test_a.py .{first}{second}{region.erased()} done")
    assert [line.rstrip() for line in shown if line.strip()][-2:] == [
        "line 19",
        "test_a.py . done",
    ]
