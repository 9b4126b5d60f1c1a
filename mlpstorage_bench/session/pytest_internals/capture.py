"""pytest's capture of what tests print: suspended, or stopped and started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from _pytest.capture import CaptureManager


def is_captured(config: pytest.Config) -> bool:
    """Whether pytest captures what tests print; not so under `-s`."""
    return bool(config.option.capture != "no")


def without_capture(config: pytest.Config, action: Callable[[], None]) -> None:
    """Run an action while pytest has restored the standard streams, then capture them again.

    Call it between tests, when pytest has suspended its capture.
    """
    manager = config.pluginmanager.getplugin("capturemanager")
    if not isinstance(manager, CaptureManager):
        action()
        return
    manager.stop_global_capturing()
    action()
    manager.start_global_capturing()
    manager.suspend_global_capture()


@contextmanager
def uncaptured(config: pytest.Config) -> Iterator[None]:
    """Suspend pytest's capture inside, so that a running test can write to the terminal."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if not isinstance(manager, CaptureManager):
        yield
        return
    with manager.global_and_fixture_disabled():
        yield
