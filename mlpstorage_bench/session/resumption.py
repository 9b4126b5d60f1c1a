"""Continuation of an interrupted run in its directory, after it was compared with this session.

The command `--mlps-resume` starts the session and names the run in an environment variable.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.cluster.host import HostRecord
from mlpstorage_bench.cluster.sources import InstalledPackage
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import shortened
from mlpstorage_bench.history.cache_directories import of_hosts
from mlpstorage_bench.history.past_run import DIED, RUNNING
from mlpstorage_bench.history.reading import NoRunError, read_metadata
from mlpstorage_bench.history.resume import RESUME_OPTION
from mlpstorage_bench.results.kept_trials import KeptTrials, LastTrial
from mlpstorage_bench.results.metadata_parts import IntegrityCheck
from mlpstorage_bench.results.parts_record import PartRecord, PauseRecord, ResumedRecord
from mlpstorage_bench.results.record import RunFacts
from mlpstorage_bench.results.run_metadata import RunMetadata, moment
from mlpstorage_bench.results.tree import RunLocation

_ACCEPTED = "a run with the workload, seed, hosts, ranks, storage and package of this session"
_MOST_SHOWN = 120


@dataclass(frozen=True)
class Resumption:
    """A run that this session continues, on rank 0."""

    run_id: str
    session_id: str | None
    """Joins the runs of one session; None in old metadata."""
    benchmark_type: str
    model: str
    metadata_path: Path
    started: datetime
    """Start of the run's first part."""
    part_started: datetime
    """Start of this part."""
    earlier: tuple[PartRecord, ...]
    """The parts before this one."""
    last: LastTrial | None = None
    """The end of the newest trial that has finished in them; None without any."""
    findings: tuple[IntegrityCheck, ...] = ()
    """Findings on the hosts in those parts: their trials stay in the run."""

    def __str__(self) -> str:
        """Return what is done, as a sentence."""
        part = len(self.earlier) + 1
        return f"part {part} of run {self.run_id}: trials that have finished are not run again"

    @property
    def notes(self) -> list[str]:
        """Note for readers of the figures: trials can be chosen by interrupting them."""
        if not self.earlier:
            return []
        note = (
            f"the run was interrupted and resumed, {len(self.earlier) + 1} parts: trials that had "
            "not finished started anew, and what they had measured is in no figure"
        )
        return [note]

    @property
    def timestamp(self) -> str:
        """The run's start as YYYYMMDD_HHMMSS, which names its directory."""
        return self.metadata_path.parent.name

    @property
    def runtime_before_s(self) -> float:
        """Seconds that the earlier parts took."""
        return sum(part.runtime_s for part in self.earlier)

    def until(self, last: LastTrial) -> Resumption:
        """Return this as it is for a run that has ended with a trial.

        Parts that began after that, as this one may have, have measured nothing, and are none.
        """
        starts = [*(moment(part.started) for part in self.earlier), self.part_started]
        count = max(sum(start <= last.ended for start in starts), 1)
        return replace(self, earlier=self.earlier[: count - 1], part_started=starts[count - 1])

    def record(self, status: str, ended: datetime | None, runtime_s: float) -> ResumedRecord | None:
        """Return the parts with this one, which has taken `runtime_s` so far; None for one part."""
        if not self.earlier:
            return None
        own = PartRecord(
            started=self.part_started.isoformat(),
            ended=None if ended is None else ended.isoformat(),
            runtime_s=runtime_s,
            status=status,
        )
        parts = [*self.earlier, own]
        return ResumedRecord(
            parts=parts,
            pauses=[
                _pause(before.ended or before.started, after.started)
                for before, after in itertools.pairwise(parts)
            ],
        )

    def check_place(self, location: RunLocation) -> None:
        """Raise InvalidInputError if this session's results would lie elsewhere than the run's."""
        if location.metadata_path != self.metadata_path:
            raise self._refusal(f"Its results would be {location.metadata_path}")

    def check_identity(self, now: Json) -> None:
        """Raise InvalidInputError if this session differs from the run where it may not."""
        then = KeptTrials(self.metadata_path.parent).read_identity(RESUME_OPTION)
        if then is None:
            raise self._refusal("What it was cannot be read")
        differences = list(_differences(then, now))
        if differences:
            raise self._refusal("; ".join(differences))

    def _refusal(self, why: str) -> InvalidInputError:
        return InvalidInputError(RESUME_OPTION, self.run_id, _ACCEPTED, hint=why)


def resumption_of(metadata_path: Path, now: datetime) -> Resumption:
    """Return the run in a metadata file, to be continued now; InvalidInputError if it has none."""
    try:
        metadata = read_metadata(metadata_path)
    except NoRunError as error:
        raise InvalidInputError(
            RESUME_OPTION, str(metadata_path), "a run's metadata", hint=error.reason
        ) from error
    return resumption_with(metadata, metadata_path, now)


def resumption_with(metadata: RunMetadata, metadata_path: Path, now: datetime) -> Resumption:
    """Return the run that has this metadata, to be continued now."""
    last = KeptTrials(metadata_path.parent).last(RESUME_OPTION)
    return Resumption(
        metadata.own.run_id or "",
        metadata.own.session_id,
        metadata.benchmark_type,
        metadata.model,
        metadata_path,
        metadata.started,
        now,
        tuple(_parts_before(metadata, last)),
        last,
        tuple(
            check for check in metadata.system_info.mlpstorage.checks if check.verdict == "finding"
        ),
    )


def identity_of(
    facts: RunFacts,
    seed: int,
    hosts: tuple[HostRecord, ...],
    package: InstalledPackage,
    number: int,
) -> Json:
    """Return what has to be equal in all parts of a run, by what it is called in messages.

    `number` is the run's place among those of its type in the session, from 1.
    """
    identity = {
        "place in the session": number,
        "package": f"{package.version} (files {package.digest})",
        "workload": {
            "requests": facts.request_stream_sha256,
            "parameters": facts.parameters,
            "overrides": facts.override_parameters,
        },
        "seed": seed,
        "hosts": facts.hosts,
        "ranks": {"total": facts.num_processes, "on a host": facts.npernode},
        "system": facts.system_fingerprint_parts,
        "storage": {
            one.host: {name: value for name, value in asdict(one).items() if name != "host"}
            for one in of_hosts(hosts)
        },
    }
    plain: Json = json.loads(json.dumps(identity))  # as it will be read
    return plain


def _parts_before(metadata: RunMetadata, last: LastTrial | None) -> Iterator[PartRecord]:
    """Yield the parts of a run that is no longer running.

    Of a part that was killed, no more is known than the end of its last finished trial.
    """
    recorded = metadata.own.resumed
    earlier = recorded.parts[:-1] if recorded else []
    yield from earlier
    before_s = sum(part.runtime_s for part in earlier)
    started = recorded.parts[-1].started if recorded else metadata.started.isoformat()
    total_s = max(metadata.runtime or 0.0, last.runtime_s if last else 0.0)
    runtime_s = max(total_s - before_s, 0.0)
    status = metadata.own.status
    yield PartRecord(
        started=started,
        ended=metadata.own.end_datetime
        or (moment(started) + timedelta(seconds=runtime_s)).isoformat(),
        runtime_s=runtime_s,
        status=DIED if status == RUNNING else status,
    )


def _pause(began: str, ended: str) -> PauseRecord:
    seconds = (moment(ended) - moment(began)).total_seconds()
    return PauseRecord(began=began, ended=ended, seconds=seconds)


def _differences(then: object, now: object, where: str = "") -> Iterator[str]:
    """Yield each difference: `seed: 42 then, 43 now`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*then, *now]):
            yield from _differences(then.get(name), now.get(name), f"{where} {name}".strip())
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _differences(one, other, f"{where} {number}")
    elif then != now:
        shown = (shortened(json.dumps(one), _MOST_SHOWN) for one in (then, now))
        yield "{}: {} then, {} now".format(where, *shown)
