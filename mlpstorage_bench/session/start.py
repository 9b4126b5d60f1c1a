"""Start of a run after collection: its directory, metadata, and the engine of its type."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.interface import Engine, RankSite
from mlpstorage_bench.cluster.information import check_cache_dirs
from mlpstorage_bench.cluster.sources import installed_package
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.cache_directories import of_hosts
from mlpstorage_bench.history.resume import RESUME_VARIABLE
from mlpstorage_bench.options.settings import RESULTS_DIR_OPTION
from mlpstorage_bench.paths import slugify
from mlpstorage_bench.process.limits import processor_quota, processor_share
from mlpstorage_bench.results.run_metadata import metadata_of
from mlpstorage_bench.results.tree import RunLocation, create_run_directory
from mlpstorage_bench.results.verification import CLOSED_MODE
from mlpstorage_bench.session import benchmark_json, measured_storage, rank_checks, timers
from mlpstorage_bench.session.activation import SCENARIO
from mlpstorage_bench.session.gate import SessionGate
from mlpstorage_bench.session.hookspec import PROGRESS_HOOK
from mlpstorage_bench.session.integrity import record_integrity
from mlpstorage_bench.session.provenance import filesystems_of, run_facts
from mlpstorage_bench.session.pytest_internals import has_benchmark_plugin, is_worker
from mlpstorage_bench.session.resumption import Resumption, identity_of, resumption_of
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import MlpsSession


def begin(session: MlpsSession, items: Sequence[pytest.Item]) -> None:
    """Prepare the collected tests: skip scenarios, set timers, and open the run that they need."""
    scenarios = [item for item in items if item.get_closest_marker(SCENARIO)]
    if scenarios and session.plan.comparable:
        reason = f"profile {session.settings.profile} is its workloads alone, to be compared"
        for item in scenarios:
            item.add_marker(pytest.mark.skip(reason=reason))
    timed = [item for item in items if "benchmark" in _fixtures_of(item)]
    ours = [item for item in timed if registry.types_of_fixtures(_fixtures_of(item))]
    others = [item for item in timed if not registry.types_of_fixtures(_fixtures_of(item))]
    timers.use_timer(ours, session.clock.measured_seconds)
    if others and session.comm.size > 1:
        timers.use_timer(others, timers.collective_timer(session.comm), warmup=False)
    if not is_worker(session.config):  # there, the fixtures of a run fail, with the reason
        fixtures = {name for item in items for name in _fixtures_of(item)}
        _open_run(session, fixtures, list(dict.fromkeys(_cases_of(items))))


def _cases_of(items: Sequence[pytest.Item]) -> Iterator[str]:
    """Yield the plan's cases for which tests are parametrized."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        for argument in registry.case_arguments(_fixtures_of(item)):
            if argument in parameters:
                yield str(parameters[argument])


def _open_run(session: MlpsSession, fixtures: Collection[str], cases: Sequence[str]) -> None:
    """Open the run that these fixtures need: its directory, metadata and engine.

    `cases` are known to run, so that they are checked before the first of them.
    """
    names = registry.types_of_fixtures(fixtures)
    if len(names) > 1:
        message = (
            f"A session runs one benchmark type; collected: {', '.join(names)}. "
            "Run each type in a session of its own"
        )
        raise rank_checks.usage_error(message, is_root=session.is_root)
    if not names and "mlps_run" not in fixtures:
        return
    _check_plugins(session)
    session.resources.enter_context(session.comm.handle_stop_signals())
    benchmark_type = registry.load(names[0] if names else registry.DEFAULT)
    settings, plan = session.settings, session.plan
    session.on_all_ranks(lambda: benchmark_type.check_site(settings.cache_dir))
    cluster = session.cluster
    session.on_all_ranks(lambda: check_cache_dirs(cluster.hosts))
    session.on_all_ranks(lambda: _check_separation(session))
    rank, size = session.comm.rank, session.comm.size
    own_hash = session.on_all_ranks(lambda: plan.request_stream_sha256(rank, size))
    hashes = session.comm.allgather(own_hash)
    systemname = settings.systemname or slugify(cluster.hostnames[0])
    filed_as = (settings.mode, settings.orgname, systemname, benchmark_type.name, plan.model, "run")
    resumption = session.on_all_ranks(lambda: _resumption(session))
    is_resumed = session.comm.bcast(resumption is not None)
    created = session.comm.bcast(
        session.on_all_ranks(
            lambda: _place(settings.results_dir, filed_as, resumption) if session.is_root else None
        )
    )
    assert created is not None
    location, started = created
    facts = run_facts(session, hashes, systemname, benchmark_type.name, location)
    if resumption is not None:
        facts = facts.model_copy(update={"run_id": resumption.run_id})
    engine = benchmark_type.open(plan, session.comm, _site(session))
    run = Run(
        location,
        started,
        facts,
        plan.seed,
        benchmark_type,
        benchmark_json.maker(session.config),
        session.is_root,
        resumption,
        is_resumed,
    )
    identity = identity_of(facts, plan.seed, cluster.hosts, installed_package(session.host))
    session.on_all_ranks(lambda: run.claim(identity))
    session.run = run
    _ask_plugins(session, run)
    _open_gate(session, session.run)
    session.on_all_ranks(session.run.write)
    _report_place(session, session.run)
    opened = session.on_all_ranks(lambda: session.resources.enter_context(engine))
    session.engine = opened
    known = [case for case in cases if case in plan.cases]
    session.schedule = plan.schedule(known)
    session.on_all_ranks(lambda: opened.check_cases(known))
    notes = [note for notes in session.comm.allgather(opened.notes) for note in notes]
    notes += record_integrity(session, session.run, opened)
    about_hosts = [*cluster.inconsistencies, *cluster.limits()]
    about_parts = [] if resumption is None else [resumption.note]
    changes = _describe_storage(session, session.run.location.metadata_path, opened)
    session.run.add_notes(
        [*about_parts, *changes, *plan.notes(), *dict.fromkeys(notes), *about_hosts]
    )
    if settings.mode == CLOSED_MODE:  # findings stay, also if the first test is killed
        session.on_all_ranks(session.run.write)


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


def _report_place(session: MlpsSession, run: Run) -> None:
    """Report to the parent where the run is, and where the copies of its output belong."""
    if session.parent is None or not session.is_root:
        return
    session.parent.send("run", str(run.location.metadata_path))
    if run.facts.output_logs is not None:
        session.parent.send("logs", run.facts.output_logs)


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


def _resumption(session: MlpsSession) -> Resumption | None:
    """Return the run that this session continues, on rank 0; None for a new run."""
    continued = os.environ.get(RESUME_VARIABLE)
    if not session.is_root or not continued:
        return None
    return resumption_of(Path(continued), datetime.now().astimezone())


def _place(
    results_dir: Path,
    filed_as: tuple[str, str, str, str, str, str],
    resumption: Resumption | None,
) -> tuple[RunLocation, datetime]:
    """Return place and start of a run: of a new one, whose directory is made, or continued one."""
    if resumption is None:
        return create_run_directory(results_dir, *filed_as)
    return RunLocation(results_dir, *filed_as, resumption.timestamp), resumption.started


def _describe_storage(session: MlpsSession, own: Path, engine: Engine) -> list[str]:
    """Set the lines about the storage on rank 0, and return notes on it and on its change."""
    if not session.is_root:
        return []
    directories = of_hosts(session.cluster.hosts)
    results_dir = session.settings.results_dir
    changes = measured_storage.changes_since_last_run(results_dir, own, directories)
    headline = measured_storage.headline(directories, engine.file_io)
    session.storage_lines = [headline, *changes]
    return [*changes, *measured_storage.note_on_system_disk(directories)]


def _check_plugins(session: MlpsSession) -> None:
    """Raise a usage error if pytest-benchmark is off."""
    if not has_benchmark_plugin(session.config):
        message = (
            "A run needs pytest-benchmark: leave out -p no:benchmark, or add "
            "-p pytest_benchmark.plugin where plugins are not loaded by themselves"
        )
        raise rank_checks.usage_error(message, is_root=session.is_root)


def _open_gate(session: MlpsSession, run: Run) -> None:
    """Prepare the comparison of the run with earlier ones."""
    if session.settings.gate.is_wanted:
        session.session_gate = SessionGate(
            session.make_gate(run.benchmark_type.name),
            lambda: metadata_of(run.metadata),
            session.comm.bcast,
            is_root=session.is_root,
        )


def _fixtures_of(item: pytest.Item) -> Sequence[str]:
    """Return the names of the fixtures that a test uses."""
    return getattr(item, "fixturenames", ())
