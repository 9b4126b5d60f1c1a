"""Rules by which ranks agree on the collected tests, on test outcomes and on the session's end.

`Comm.agree` exchanges the values. A rank's outcome of a phase is *secondary* when it failed only
because another rank had left (PeerError): the cause is then the failure of that other rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "skipped", "failed"]


@dataclass(frozen=True)
class RankOutcome:
    """Outcome of one phase of a test on one rank."""

    rank: int
    host: str
    outcome: Outcome
    text: str = ""
    """Text of the rank's own report: its failure with traceback, or the reason of a skip."""
    headline: str = ""
    """The failure in one line."""
    secondary: bool = False
    location: tuple[str, int] = ("", 0)
    """File and line of a skip, as pytest wants it."""
    expected_failure: str | None = None
    """The reason of an expected failure (xfail), which counts as a skip."""


@dataclass(frozen=True)
class AgreedOutcome:
    """Outcome of the phase for the session."""

    outcome: Outcome
    causes: tuple[RankOutcome, ...] = ()
    """The ranks whose outcome decided, in rank order; none when it is `passed`."""


def agree_outcome(outcomes: Sequence[RankOutcome]) -> AgreedOutcome:
    """Return the outcome of a phase: own failures first, then skips, then secondary failures."""
    own_failures = [o for o in outcomes if o.outcome == "failed" and not o.secondary]
    skips = [o for o in outcomes if o.outcome == "skipped"]
    secondary = [o for o in outcomes if o.outcome == "failed" and o.secondary]
    for causes in (own_failures, skips, secondary):
        if causes:
            return AgreedOutcome(causes[0].outcome, tuple(causes))
    return AgreedOutcome("passed")


def describe_causes(causes: Sequence[RankOutcome]) -> str:
    """Format which ranks failed and how, for rank 0's report; equal texts appear once."""
    ranks_by_text: dict[str, list[RankOutcome]] = {}
    for cause in causes:
        ranks_by_text.setdefault(cause.text, []).append(cause)
    return "\n\n".join(
        f"{name_ranks(group)}: {group[0].headline}\n\n{text}"
        for text, group in ranks_by_text.items()
    )


def name_ranks(outcomes: Sequence[RankOutcome]) -> str:
    """Return `rank 1 on host2`, or `ranks 1, 3 on host2, host3`."""
    ranks = ", ".join(str(o.rank) for o in outcomes)
    hosts = ", ".join(dict.fromkeys(o.host for o in outcomes))
    return f"rank{'s' if len(outcomes) > 1 else ''} {ranks} on {hosts}"


@dataclass(frozen=True)
class RankCollection:
    """Tests and errors that one rank collected."""

    rank: int
    host: str
    test_ids: tuple[str, ...]
    errors: tuple[str, ...] = field(default=())
    """Text of each collection error."""
    files: tuple[tuple[str, str], ...] = field(default=())
    """Name and digest of each source file of the tests."""


def collection_differences(collections: Sequence[RankCollection]) -> str:
    """Describe how the ranks' collections differ from rank 0's; '' when they do not.

    Errors that all ranks have in common are no difference: pytest reports them itself. Neither is
    another order of the same tests.
    """
    reference = collections[0]
    lines: list[str] = []
    for other in collections[1:]:
        if (sorted(other.test_ids), other.errors, other.files) == (
            *(sorted(reference.test_ids), reference.errors, reference.files),
        ):
            continue
        lines.append(f"rank {other.rank} on {other.host}:")
        extra = [i for i in other.test_ids if i not in set(reference.test_ids)]
        missing = [i for i in reference.test_ids if i not in set(other.test_ids)]
        lines += [f"  collected there, not on rank 0: {test}" for test in extra[:10]]
        lines += [f"  collected on rank 0, not there: {test}" for test in missing[:10]]
        if len(extra) > 10 or len(missing) > 10:  # noqa: PLR2004 - a screenful
            lines.append(f"  in all {len(extra)} more and {len(missing)} fewer")
        if not extra and not missing and len(other.test_ids) != len(reference.test_ids):
            lines.append("  the same tests, another number of times")
        lines += _file_differences(other, reference)
        lines += [f"  error there: {error}" for error in set(other.errors) - set(reference.errors)]
        lines += [f"  error on rank 0: {e}" for e in set(reference.errors) - set(other.errors)]
    if not lines:
        return ""
    return "\n".join(
        [f"The ranks did not collect the same tests. Rank 0 is on {reference.host}.", *lines]
    )


def order_as(reference: Sequence[str], own: Sequence[str]) -> list[int]:
    """Return the positions in `own` of the tests of `reference`, which has the same ones."""
    positions: dict[str, list[int]] = {}
    for position, test in enumerate(own):
        positions.setdefault(test, []).append(position)
    return [positions[test].pop(0) for test in reference]


def _file_differences(other: RankCollection, reference: RankCollection) -> list[str]:
    """Describe which files differ, of those that both ranks have."""
    here, there = dict(reference.files), dict(other.files)
    differing = [name for name in here if name in there and here[name] != there[name]]
    lines = [
        f"  another file there: {name} ({there[name]}; on rank 0 {here[name]})"
        for name in differing[:10]
    ]
    more = len(differing) - len(lines)
    return [*lines, f"  in all {len(differing)} files differ"] if more else lines
