"""Plugins of others that change how tests run: pytest-xdist and pytest-randomly."""

from __future__ import annotations

import pytest


def starts_workers(config: pytest.Config) -> bool:
    """Whether this process starts workers of pytest-xdist (`-n`, or `--dist` with `--tx`)."""
    option = config.option
    return bool(getattr(option, "numprocesses", None)) or getattr(option, "dist", "no") != "no"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def random_seed(config: pytest.Config) -> object:
    """Return pytest-randomly's seed; None without that plugin."""
    return getattr(config.option, "randomly_seed", None)


def set_random_seed(config: pytest.Config, seed: object) -> None:
    """Set pytest-randomly's seed, from which it seeds the generators before each test."""
    if seed is not None:
        config.option.randomly_seed = seed
