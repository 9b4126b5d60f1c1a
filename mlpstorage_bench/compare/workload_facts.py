"""Facts in the fingerprints of workloads, compared by name for any benchmark type.

Pure: values that were read come in, conditions go out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_PARAMETERS = "parameters"
_REQUESTS = "request_stream_sha256"
_APART = ("benchmark_type", "ranks", _REQUESTS)
"""Facts that are conditions of their own, or follow from the others."""
_AT_DEFAULT = "default"


@dataclass(frozen=True)
class WorkloadFacts:
    """Facts of a case's workload, in words by name."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Those of the fingerprint: parameters at their defaults are absent."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """All parameters as the case ran; none where they are not recorded."""
    requests: str | None = None
    """Digest of the requests, where the fingerprint has one."""
    of_missing: str = _AT_DEFAULT
    """Text for a fact that is neither in the fingerprint nor recorded."""

    def text(self, name: str) -> str:
        """Return a fact in words; of one that the fingerprint omits, the recorded parameter."""
        return self.facts.get(name) or self.parameters.get(name, self.of_missing)


def workload_facts(parts: Mapping[str, object], parameters: object) -> WorkloadFacts:
    """Return the facts that metadata records for a fingerprint, and all parameters."""
    given = parts.get(_PARAMETERS)
    others = {name: one for name, one in parts.items() if name not in (_PARAMETERS, *_APART)}
    requests = parts.get(_REQUESTS)
    return WorkloadFacts(
        {**dict(_flat(given, "parameter ")), **dict(_flat(others, "workload "))},
        dict(_flat(parameters, "parameter ")),
        requests if isinstance(requests, str) else None,
    )


def differing_facts(runs: Sequence[Mapping[str, WorkloadFacts]]) -> dict[str, list[dict[str, str]]]:
    """Return each fact that differs in a case → by run, the fact in words by case.

    Cases that one run alone has are compared with nothing.
    """
    counts = Counter(case for run in runs for case in run)
    shared = [{case: one for case, one in run.items() if counts[case] > 1} for run in runs]
    names = dict.fromkeys(name for run in shared for one in run.values() for name in one.facts)
    found = {
        name: [{case: one.text(name) for case, one in run.items()} for run in shared]
        for name in names
    }
    found = {name: values for name, values in found.items() if _differ(values)}
    if not found:
        requests = [
            {case: one.requests or _AT_DEFAULT for case, one in run.items()} for run in shared
        ]
        if _differ(requests):
            return {"workload requests": requests}
    return found


def _differ(runs: Sequence[Mapping[str, str]]) -> bool:
    """Return whether a case has several values."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for case, value in run.items():
            values.setdefault(case, set()).add(value)
    return any(len(one) > 1 for one in values.values())


def _flat(value: object, name: str) -> Iterator[tuple[str, str]]:
    """Yield values with their keys, those of nested mappings joined by points."""
    if not isinstance(value, Mapping):
        return
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{name}{key}.")
        else:
            yield f"{name}{key}", one if isinstance(one, str) else json.dumps(one)
