"""Text of a run's state: one line for logs, a few lines for a region of the terminal (pure).

The thread that supervises a trial makes the text, once a second. A table of rich takes it 4 ms, and
these functions 0.02 ms.
"""

from __future__ import annotations

import math

from mlpstorage_bench.progress.state import Figures, Progress, Rates

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_TITLES = ("read GiB/s", "write GiB/s", "operations/s")
_COLUMN = 12
_GAP = 2
_MINUTE_S = 60
_INTEGERS_FROM = 100
"""Least number that is shown without decimals."""


def line(progress: Progress) -> str:
    """Return the state in one line."""
    parts = [f"{_place(progress)}: {_phase(progress)}"]
    figures = progress.figures
    if figures is not None:
        now, mean = figures.now, figures.mean
        parts += [
            f"read {now.read_gib_s:.2f} GiB/s (mean {mean.read_gib_s:.2f})",
            f"write {now.write_gib_s:.2f} GiB/s ({mean.write_gib_s:.2f})",
            *_operations(now, mean),
            *_details(figures),
        ]
    return ", ".join([*parts, *_left(progress)])


def region(progress: Progress, width: int, *, has_color: bool) -> list[str]:
    """Return the lines of a region; none is longer than `width` - 1 columns."""
    place, phase = _place(progress), _phase(progress)
    lines = [(f"{place}: {phase}", _BOLD)]
    figures = progress.figures
    if figures is not None:
        lines += [
            (_row("", *_TITLES), _DIM),
            (_row("now", *_cells(figures.now)), ""),
            (_row("mean", *_cells(figures.mean)), ""),
        ]
    details = [] if figures is None else _details(figures)
    lines += [(text, "") for text in _filled([*details, *_left(progress)], width - 1)]
    return [_styled(text[: width - 1], style if has_color else "") for text, style in lines]


def _styled(text: str, style: str) -> str:
    return f"{style}{text}{_PLAIN}" if style else text


def _row(title: str, *cells: str) -> str:
    return f"{title:<4}" + "".join(f"{cell:>{_COLUMN + _GAP}}" for cell in cells)


def _filled(parts: list[str], width: int) -> list[str]:
    """Return the parts in lines of at most this width, if each part is shorter."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _cells(rates: Rates) -> tuple[str, str, str]:
    return f"{rates.read_gib_s:.2f}", f"{rates.write_gib_s:.2f}", _count(rates.operations_per_s)


def _place(progress: Progress) -> str:
    test = f"test {progress.test} of {progress.tests}, " if progress.tests > 1 else ""
    return f"{test}case {progress.case}, trial {progress.trial} of {progress.trials}"


def _phase(progress: Progress) -> str:
    if progress.length_s is not None:
        decimals = 0 if progress.length_s >= 1 else 1
        return f"{progress.phase} {progress.elapsed_s:.0f}/{progress.length_s:.{decimals}f} s"
    if progress.figures is not None:
        return f"{progress.phase} {progress.elapsed_s:.0f} s"
    return progress.phase


def _operations(now: Rates, mean: Rates) -> list[str]:
    """Return the rates of entries; nothing before the first one has ended."""
    if not mean.operations_per_s:
        return []
    return [f"{_count(now.operations_per_s)} operations/s ({_count(mean.operations_per_s)})"]


def _left(progress: Progress) -> list[str]:
    if progress.left_s is None:
        return ["time left unknown"]
    minutes, seconds = math.ceil(progress.left_s / _MINUTE_S), math.ceil(progress.left_s)
    left = f"{minutes} min" if seconds > _MINUTE_S else f"{seconds} s"
    return [f"about {left} left in all"]


def _details(figures: Figures) -> list[str]:
    details = [
        f"{name} p95 {_milliseconds(value)} ms"
        for name, value in (("read", figures.read_p95_ms), ("write", figures.write_p95_ms))
        if value is not None
    ]
    if figures.hit_rate is not None:
        details.append(f"hits {100 * figures.hit_rate:.0f}%")
    if figures.cpu_s_per_gib is not None:
        details.append(f"CPU {figures.cpu_s_per_gib:.2f} s/GiB")
    details += [f"{figures.in_flight} in flight", f"{figures.errors} errors"]
    if figures.is_steady is not None:
        details.append("steady" if figures.is_steady else "not steady")
    return details


def _milliseconds(number: float) -> str:
    return f"{number:.0f}" if number >= _INTEGERS_FROM else f"{number:.3g}"


def _count(number: float) -> str:
    return f"{number:.0f}" if number >= _INTEGERS_FROM else f"{number:.1f}"
