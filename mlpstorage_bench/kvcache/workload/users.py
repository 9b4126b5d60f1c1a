"""Users: kind, class of service, and values drawn once per user (like kv-cache.py)."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class UserKind:
    """Bounds of the values that users of this kind draw."""

    name: str
    context_tokens: tuple[int, int]
    generated_tokens: tuple[int, int]
    think_s: tuple[float, float]


KINDS = (
    UserKind("chatbot", (512, 4096), (50, 200), (0.1, 0.5)),
    UserKind("coding", (4096, 25_000), (100, 500), (0.2, 1.0)),
    UserKind("document", (4096, 16_384), (200, 800), (0.3, 1.5)),
)
"""A third of the users are of each kind."""
MOST_CONTEXT_TOKENS = max(kind.context_tokens[1] for kind in KINDS)


@dataclass(frozen=True)
class QosClass:
    """Class of service; requests with a higher priority are served first."""

    name: str
    share: float
    priority: int
    targets_ms: Mapping[str, float]
    """The reference's targets for end-to-end latency."""


def _targets(p95: float, p99: float, p999: float, p9999: float) -> Mapping[str, float]:
    return {"p95_ms": p95, "p99_ms": p99, "p999_ms": p999, "p9999_ms": p9999}


QOS_CLASSES = (
    QosClass("interactive", 0.15, 3, _targets(50, 100, 150, 200)),
    QosClass("responsive", 0.35, 2, _targets(100, 200, 350, 500)),
    QosClass("batch", 0.50, 1, _targets(1000, 5000, 7500, 10_000)),
)


_SHARES = [*itertools.accumulate(qos.share for qos in QOS_CLASSES)]
_QOS_BOUNDS = [share / _SHARES[-1] for share in _SHARES]
"""Bounds of the classes in [0, 1]: `Generator.choice` would make them again for each user."""
QOS_BY_PRIORITY = {qos.priority: qos for qos in QOS_CLASSES}


@dataclass(frozen=True)
class User:
    """One user of one rank."""

    index: int
    kind: str
    qos: QosClass
    context_tokens: int
    """Largest context of a request; requests draw from a quarter of it up to it."""
    generated_tokens: int
    think_s: float


def draw_user(index: int, random: np.random.Generator) -> User:
    """Draw a user; its kind alternates with the index, all else is random."""
    kind = KINDS[index % len(KINDS)]
    qos = QOS_CLASSES[bisect.bisect_right(_QOS_BOUNDS, random.random())]
    return User(
        index=index,
        kind=kind.name,
        qos=qos,
        context_tokens=int(random.integers(*kind.context_tokens, endpoint=True)),
        generated_tokens=int(random.integers(*kind.generated_tokens, endpoint=True)),
        think_s=float(random.uniform(*kind.think_s)),
    )


def user_random(seed: int, index: int, stream: int = 0) -> np.random.Generator:
    """Return a user's random generator, which is independent of all other users.

    Streams are independent of each other, so that further draws in one do not change the others.
    """
    key = (index, stream) if stream else (index,)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
