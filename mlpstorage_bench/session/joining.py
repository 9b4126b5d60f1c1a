"""Checks that all ranks make together: when they have joined, and when tests are collected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.cluster.sources import check_same_package, installed_package
from mlpstorage_bench.export.write import check_format
from mlpstorage_bench.launch.hostnames import KnownHost, are_same_hosts
from mlpstorage_bench.mpi.agreement import RankCollection, collection_differences, order_as
from mlpstorage_bench.report.render import check_renderer
from mlpstorage_bench.session import rank_checks
from mlpstorage_bench.session.activation import collection_errors
from mlpstorage_bench.session.benchmark_json import branch_of_tests
from mlpstorage_bench.session.file_arguments import check_files, file_of_run
from mlpstorage_bench.session.hookspec import METRICS_HOOK
from mlpstorage_bench.session.judging import make_gate, most_trials
from mlpstorage_bench.session.provenance import sources_of_tests
from mlpstorage_bench.session.pytest_internals.other_plugins import random_seed, set_random_seed
from mlpstorage_bench.session.pytest_internals.written_files import output_files, use_own_basetemp
from mlpstorage_bench.session.rank_output import prepare
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.type_requests import check_some_type, check_used


def join(session: MlpsSession) -> None:
    """Check ranks, hosts and options on all ranks; an error is a usage error on all of them."""
    hosts = _check_package(session)
    if session.parent is not None and session.is_root:
        session.parent.send("hosts", " ".join(hosts))
    session.on_all_ranks(
        lambda: rank_checks.check_ranks(
            session.settings, hosts, launched=session.launcher is not None
        )
    )
    _check_hosts(session, hosts)
    session.on_all_ranks(lambda: _check_request(session))
    if session.launcher is not None:
        rank = session.comm.rank
        prepare(session.config, rank)
        session.on_all_ranks(lambda: use_own_basetemp(session.config, rank))


def _check_package(session: MlpsSession) -> list[str]:
    """Check that all ranks run the same version of this package; return each rank's host.

    It precedes all other communication, which may differ between versions.
    """
    if session.comm.size == 1:
        return [session.host]
    installed = session.agree("the package", installed_package(session.host))
    session.on_all_ranks(lambda: check_same_package(installed))
    return [package.host for package in installed]


def _check_hosts(session: MlpsSession, hosts: Sequence[str]) -> None:
    """Check that the ranks run on the user's hosts; rank 0 resolves the names."""
    given = session.settings.hosts
    if not given or (session.settings.wants_ranks and session.launcher is None):
        return
    known = {host.name: host for host in session.agree("the hosts", KnownHost.this())}
    names = [host.name for host in given]
    own = session.is_root and are_same_hosts(names, [*known.values()])
    are_same, *_ = session.agree("the hosts of the ranks", own)
    session.on_all_ranks(lambda: rank_checks.check_hosts(given, hosts, are_same=are_same))


def _check_request(session: MlpsSession) -> None:
    """Check files, gate and report formats before tests are collected."""
    settings = session.settings
    if settings.mode == "whatif":
        settings.layout()  # whose ranks the session's header has
    name = check_some_type(settings)
    if name is not None:  # else check_types has the error, which is that of the tests' type
        _check_files(session, name)
    for path in settings.reports if session.is_root else ():
        check_renderer(path)
    for export in settings.exports if session.is_root else ():
        check_format(export)


def agree_on_collection(session: MlpsSession, items: list[pytest.Item]) -> None:
    """Give all ranks rank 0's order of tests; a usage error if they collected different ones.

    Plugins such as pytest-randomly choose an order in each process. Its seed becomes rank 0's, too.
    """
    comm, config = session.comm, session.config
    own = RankCollection(
        comm.rank,
        session.host,
        tuple(item.nodeid for item in items),
        tuple(error.text for error in collection_errors(config)),
        sources_of_tests(config, session.settings, items) if comm.size > 1 else (),
    )
    collections = session.agree("collection", own)
    differences = collection_differences(collections)
    if differences:
        raise rank_checks.usage_error(differences, is_root=session.is_root)
    order = order_as(collections[0].test_ids, own.test_ids)
    items[:] = [items[position] for position in order]
    if any(other.test_ids != collections[0].test_ids for other in collections):
        session.remarks.append(
            "ranks collected the tests in different orders, as with pytest-randomly: all ranks ran "
            "them in rank 0's order"
        )
    seeds = session.agree("the random seed", random_seed(config))
    set_random_seed(config, seeds[0])


def check_types(session: MlpsSession, names: Sequence[str]) -> None:
    """Check metrics, plans, files and gate of the benchmark types that tests use."""
    check_used(session.settings, names)
    session.types = names or (registry.DEFAULT,)
    for name in session.types:
        _add_metrics(session, name)
    for name in session.types:
        _check_type(session, name)


def _add_metrics(session: MlpsSession, name: str) -> None:
    """Use the metrics that plugins declare until the session is over."""
    if not session.hooks.has(METRICS_HOOK):
        return
    kind = registry.load(name)
    kind.use_added_metrics([])
    kind.use_added_metrics(session.hooks.metrics(kind.metrics))
    session.config.add_cleanup(lambda: kind.use_added_metrics([]))


def _check_type(session: MlpsSession, name: str) -> None:
    settings = session.settings
    session.plan(name)
    _check_files(session, name)
    if settings.gate.is_wanted:
        gate = make_gate(session, name)
        if session.is_root:
            gate.check_baseline(settings.tags, lambda: branch_of_tests(session.config))


def _check_files(session: MlpsSession, name: str) -> None:
    if session.settings.user_set:
        check_files(
            session.settings,
            session.plan(name),
            session.comm.rank,
            session.comm.size,
            lambda trials: most_trials(session, trials),
            output_files(session.config),
            path_of=lambda path: _path_for_type(session, name, path),
        )


def _path_for_type(session: MlpsSession, name: str, path: Path) -> Path:
    """Return the path of the file of a type's first run, as far as it is known by now."""
    if len(session.types) <= 1:
        return path
    return file_of_run(path, name, session.plan(name).model)
