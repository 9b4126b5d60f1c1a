from __future__ import annotations

from dataclasses import replace

import pytest

from mlpstorage_bench.progress.state import Figures, Progress, Rates
from mlpstorage_bench.progress.text import line, region

FIGURES = Figures(
    now=Rates(1.234, 0.456, 345.6),
    mean=Rates(1.2, 0.4, 34.56),
    read_p95_ms=12.345,
    write_p95_ms=None,
    hit_rate=0.987,
    cpu_s_per_gib=0.18,
    in_flight=16,
    errors=0,
    is_steady=True,
)
WINDOW = Progress("1", 2, 3, 2, 9, "window", 40.4, 300.0, 1234.0, FIGURES)
PAUSE = Progress("blocks-16", 1, 3, 1, 1, "pause", 60.0, 90.0)


def test_line_has_place_phase_and_figures() -> None:
    assert line(WINDOW) == (
        "test 2 of 9, case 1, trial 2 of 3: window 40/300 s, read 1.23 GiB/s (mean 1.20), "
        "write 0.46 GiB/s (0.40), 346 operations/s (34.6), read p95 12.3 ms, hits 99%, "
        "CPU 0.18 s/GiB, 16 in flight, 0 errors, steady, about 21 min left in all"
    )


def test_line_of_a_phase_without_figures_is_short() -> None:
    assert line(PAUSE) == "case blocks-16, trial 1 of 3: pause 60/90 s, time left unknown"
    drain = line(replace(PAUSE, phase="drain", length_s=None, left_s=1.0))
    assert drain.endswith("of 3: drain, about 1 s left in all")


@pytest.mark.parametrize(
    ("left_s", "text"), [(0.0, "0 s"), (59.2, "60 s"), (61, "2 min"), (7200, "120 min")]
)
def test_time_left_is_rounded_up(left_s: float, text: str) -> None:
    assert line(replace(PAUSE, left_s=left_s)).endswith(f", about {text} left in all")


def test_line_has_no_rate_of_entries_before_one_has_ended() -> None:
    none = Rates(1.0, 0.0, 0.0)
    text = line(replace(WINDOW, figures=replace(FIGURES, now=none, mean=none)))
    assert "write 0.00 GiB/s (0.00), read p95" in text


def test_long_latencies_are_whole_numbers() -> None:
    slow = replace(FIGURES, read_p95_ms=1210.4, write_p95_ms=0.0123)
    text = line(replace(WINDOW, figures=slow))
    assert "read p95 1210 ms, write p95 0.0123 ms" in text


def test_region_shows_now_and_mean_below_each_other() -> None:
    assert region(WINDOW, 80, has_color=False) == [
        "test 2 of 9, case 1, trial 2 of 3: window 40/300 s",
        "        read GiB/s   write GiB/s  operations/s",
        "now           1.23          0.46           346",
        "mean          1.20          0.40          34.6",
        "read p95 12.3 ms, hits 99%, CPU 0.18 s/GiB, 16 in flight, 0 errors, steady",
        "about 21 min left in all",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_region_is_never_wider_than_its_terminal(width: int) -> None:
    assert all(len(one) < width for one in region(WINDOW, width, has_color=False))


def test_colours_change_no_text() -> None:
    colored = "\n".join(region(WINDOW, 80, has_color=True))
    for style in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        assert style in colored
        colored = colored.replace(style, "")
    assert colored.splitlines() == region(WINDOW, 80, has_color=False)
