"""Alarms of tests and plugins beside deferred interrupts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from mlpstorage_bench.mpi.interrupts import Interrupts


class LateError(Exception):
    """Raised by the handler of an alarm."""


def raise_late(_number: int, _frame: FrameType | None) -> None:
    raise LateError


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, raise_late)
    yield
    signal.signal(signal.SIGALRM, before)


def test_alarm_is_raised_at_a_safe_point_alone() -> None:
    interrupts, passed = Interrupts(), []

    def run() -> None:
        with interrupts.deferring():
            signal.raise_signal(signal.SIGALRM)
            passed.append("inside")
            interrupts.raise_pending()
            passed.append("after the safe point")

    with pytest.raises(LateError):
        run()
    assert passed == ["inside"]
    assert signal.getsignal(signal.SIGALRM) is raise_late


def test_alarm_is_raised_at_the_end_of_nested_deferrals() -> None:
    interrupts, passed = Interrupts(), []

    def run() -> None:
        with interrupts.deferring():
            with interrupts.deferring():
                signal.raise_signal(signal.SIGALRM)
            passed.append("inner")

    with pytest.raises(LateError):
        run()
    assert passed == ["inner"]


def test_alarm_beside_another_failure_is_dropped_with_it() -> None:
    interrupts = Interrupts()

    def run() -> None:
        with interrupts.deferring():
            signal.raise_signal(signal.SIGALRM)
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run()
    with interrupts.deferring():
        interrupts.raise_pending()


def test_alarm_is_dropped_where_it_comes_too_late() -> None:
    interrupts = Interrupts()
    with interrupts.deferring(drops_alarms=True):
        signal.raise_signal(signal.SIGALRM)
        interrupts.raise_pending()
    assert signal.getsignal(signal.SIGALRM) is raise_late


def test_handler_that_is_set_inside_stays() -> None:
    interrupts = Interrupts()
    with interrupts.deferring():
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
