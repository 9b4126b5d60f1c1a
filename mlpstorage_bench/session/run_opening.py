"""Opening of a run: the engine of its type, its directory, its metadata, and its gate."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.interface import Engine, RankSite
from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.cluster.information import check_cache_dirs
from mlpstorage_bench.cluster.sources import installed_package
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.cache_directories import of_hosts
from mlpstorage_bench.options.settings import RESULTS_DIR_OPTION
from mlpstorage_bench.paths import slugify
from mlpstorage_bench.process.limits import processor_quota, processor_share
from mlpstorage_bench.results.run_directory import begin_run_directory, discarded_on_failure
from mlpstorage_bench.results.run_metadata import metadata_of
from mlpstorage_bench.results.tree import RunLocation
from mlpstorage_bench.results.verification import CLOSED_MODE
from mlpstorage_bench.session import benchmark_json, measured_storage
from mlpstorage_bench.session.gate import SessionGate
from mlpstorage_bench.session.hookspec import PROGRESS_HOOK
from mlpstorage_bench.session.integrity import record_integrity
from mlpstorage_bench.session.judging import make_gate
from mlpstorage_bench.session.provenance import filesystems_of, run_facts
from mlpstorage_bench.session.resumption import Resumption, identity_of
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.run_times import RunTimes
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.type_requests import profile_note
from mlpstorage_bench.session.type_run import TypeRun
from mlpstorage_bench.trial.services import TestedType


def part_for(
    session: MlpsSession, name: str, model: str, *, without_cases: bool = False
) -> TypeRun:
    """Return the run of a type and model; it is opened if this session has none.

    With `without_cases`, the run has no case yet, and has to follow the one before it. Collective:
    every rank asks for the same.
    """
    of_type = [part for part in session.parts if part.name == name]
    for part in of_type:
        if part.model == model and not (without_cases and part.run.log.cases):
            return part
    of_model = [part.run for part in of_type if part.model == model]
    return _open_for(
        session,
        of_type[0].kind,
        of_type[0].plan,
        model,
        first=of_type[0],
        before=of_model[-1] if of_model and without_cases else None,
    )


def open_run(session: MlpsSession, name: str, cases: Sequence[str]) -> None:
    """Open the first run of a type, with its engine.

    `cases` are known to run, so that they are checked before the first of them.
    """
    kind, settings, plan = registry.load(name), session.settings, session.plan(name)
    session.on_all_ranks(lambda: kind.check_site(settings.cache_dir))
    session.on_all_ranks(lambda: check_cache_dirs(session.cluster.hosts))
    session.on_all_ranks(lambda: _check_separation(session))
    known = [case for case in cases if case in plan.cases]
    part = _open_for(session, kind, plan, plan.model, None, cases=known)
    opened = part.engine
    assert opened is not None
    part.schedule = plan.schedule(known)
    notes = [note for notes in session.comm.allgather(opened.notes) for note in notes]
    notes += record_integrity(session, part.run, opened)
    about_hosts = [*session.cluster.inconsistencies, *session.cluster.limits()]
    changes = _note_storage(session, part.run.location.metadata_path)
    of_plan = [*filter(None, [profile_note(settings, name)]), *plan.notes()]
    part.notes = (*changes, *of_plan, *dict.fromkeys(notes), *about_hosts)
    part.run.add_notes(part.notes)
    if settings.mode == CLOSED_MODE:  # findings stay, also if the first test is killed
        session.on_all_ranks(part.run.write)


def _open_for(
    session: MlpsSession,
    kind: TestedType,
    plan: Plan,
    model: str,
    first: TypeRun | None,
    before: Run | None = None,
    cases: Sequence[str] = (),
) -> TypeRun:
    """Open a run: its directory, its metadata, its gate, and the type's engine if it is the first.

    `first` is the first run of the type, and `before` the one that this one has to follow. The
    engine checks `cases` before the directory appears: what it refuses leaves no run.
    """
    settings, cluster = session.settings, session.cluster
    rank, size = session.comm.rank, session.comm.size
    own_hash = session.on_all_ranks(lambda: plan.request_stream_sha256(rank, size))
    hashes = session.comm.allgather(own_hash)
    systemname = settings.systemname or slugify(cluster.hostnames[0])
    filed_as = (settings.mode, settings.orgname, systemname, kind.name, model, settings.command)
    continued = session.continued
    resumption = None if continued is None else continued.take(kind.name, model)
    is_resumed = session.comm.bcast(resumption is not None)
    with ExitStack() as resources:
        place = partial(
            _place,
            settings.results_dir,
            filed_as,
            resumption,
            resources,
            has_command_level=kind.has_command_level,
        )
        created = session.comm.bcast(
            session.on_all_ranks(lambda: place() if session.is_root else None)
        )
        assert created is not None
        location, started = created
        if not session.is_root:  # which alone writes
            location = replace(location, temporary=None)
        facts = run_facts(session, plan, hashes, location, is_first=not session.parts)
        if resumption is not None:
            facts = facts.model_copy(update={"run_id": resumption.run_id})
        if first is not None:  # its description has the checks of the hosts
            facts = facts.model_copy(update={"system_info": first.run.facts.system_info})
        opening = None
        if first is None:
            site = replace(
                _site(session), run_id=session.comm.bcast(facts.run_id), is_resumed=is_resumed
            )
            opening = kind.open(plan, session.comm, site)
        run = Run(
            location,
            facts,
            plan.seed,
            kind,
            benchmark_json.maker(session.config),
            RunTimes(started, resumption),
            session.is_root,
            is_resumed,
            None if before is None else before.followed_at(started),
        )
        number = sum(part.name == kind.name for part in session.parts) + 1
        package = installed_package(session.host)
        identity = identity_of(facts, plan.seed, cluster.hosts, package, number)
        if is_resumed:  # before the engine uses what the earlier parts have left
            session.on_all_ranks(lambda: run.claim(identity))
        engine = None if first is None else first.engine
        if opening is not None:
            engine = _entered(session, run, opening, cases)
        session.on_all_ranks(run.begin_part if is_resumed else lambda: run.claim(identity))
    part = TypeRun(kind, plan, model, run, engine)
    if first is not None:  # what was found when the type began is true of each of its runs
        part.notes = first.notes
        run.add_notes(part.notes)
    session.parts.append(part)
    _ask_plugins(session, run)
    part.gate = _gate_of(session, run)
    session.on_all_ranks(run.write)
    _report_places(session, session.runs)
    return part


def _entered(
    session: MlpsSession,
    run: Run,
    opening: AbstractContextManager[Engine],
    cases: Sequence[str],
) -> Engine:
    """Return the engine on all ranks, which has checked the cases."""
    try:
        engine = session.on_all_ranks(lambda: session.resources.enter_context(opening))
        session.on_all_ranks(lambda: engine.check_cases(cases))
    except BaseException:
        run.abandon()
        raise
    return engine


def _site(session: MlpsSession) -> RankSite:
    """Return this rank's place, and its shares of what ranks have together."""
    cluster, rank, host = session.cluster, session.comm.rank, session.host
    own = sorted(os.sched_getaffinity(0))
    bound = session.comm.allgather((host, own))
    of_host = [numbers for other, numbers in bound if other == host]
    return RankSite(
        host,
        session.settings.cache_dir,
        cluster.ranks_sharing_cache(rank),
        cluster.memory_of_rank(rank),
        is_in_memory=cluster.host_of_rank(rank).cache_filesystem.is_in_memory,
        processors=processor_share(own, of_host, processor_quota()),
        is_first_on_host=rank == cluster.ranks_by_host[host][0],
    )


def _ask_plugins(session: MlpsSession, run: Run) -> None:
    """Add plugins' facts to the run on rank 0, and find whether they receive its progress."""
    session.hooks_watch_progress = session.comm.bcast(session.hooks.has(PROGRESS_HOOK))
    if session.is_root:
        run.plugin_facts = session.hooks.metadata(run)
        run.add_notes(session.hooks.problems)


def _report_places(session: MlpsSession, runs: Sequence[Run]) -> None:
    """Report to the parent where the runs are, and where the copies of its output belong."""
    if session.parent is None or not session.is_root:
        return
    session.parent.send("run", json.dumps([str(run.location.metadata_path) for run in runs]))
    if runs[0].facts.output_logs is not None:
        session.parent.send("logs", runs[0].facts.output_logs)


def _check_separation(session: MlpsSession) -> None:
    """Raise InvalidInputError on rank 0 if a closed run has cache and results on one filesystem.

    Such a run takes more than an hour, and would be INVALID whatever it measured.
    """
    settings = session.settings
    if not session.is_root or settings.mode != CLOSED_MODE:
        return
    objection = filesystems_of(settings).objection
    if objection:
        raise InvalidInputError(
            RESULTS_DIR_OPTION,
            str(settings.results_dir),
            "in mode closed, a directory on another filesystem than the cache",
            hint=f"On {session.host}, {objection}. Set it, or --mlps-cache-dir, to another one",
        )


def _place(
    results_dir: Path,
    filed_as: tuple[str, str, str, str, str, str],
    resumption: Resumption | None,
    resources: ExitStack,
    *,
    has_command_level: bool,
) -> tuple[RunLocation, datetime]:
    """Return place and start of a run: of a new or continued one.

    Nothing is left of a new one if an exception leaves `resources` before its directory appears.
    """
    if resumption is None:
        begun = begin_run_directory(results_dir, *filed_as, has_command_level=has_command_level)
        resources.enter_context(discarded_on_failure(begun[0]))
        return begun
    continued = RunLocation(results_dir, *filed_as, resumption.timestamp, has_command_level)
    return continued, resumption.started


def _note_storage(session: MlpsSession, own: Path) -> list[str]:
    """Return notes on the storage and on its change, on rank 0."""
    if not session.is_root:
        return []
    directories = of_hosts(session.cluster.hosts)
    results_dir = session.settings.results_dir
    changes = measured_storage.changes_since_last_run(results_dir, own, directories)
    session.storage_changes = changes
    return [*changes, *measured_storage.note_on_system_disk(directories)]


def _gate_of(session: MlpsSession, run: Run) -> SessionGate | None:
    """Return the comparison of the run with earlier ones; None if the gate is off."""
    if not session.settings.gate.is_wanted:
        return None
    return SessionGate(
        make_gate(session, run.benchmark_type.name),
        lambda: metadata_of(run.metadata),
        session.comm.bcast,
        is_root=session.is_root,
        path_of=lambda path: session.path_for(run, path),
    )
