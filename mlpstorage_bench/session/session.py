"""State of a pytest session: settings, ranks, plan, run and gate."""

from __future__ import annotations

import functools
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.interface import Plan
from mlpstorage_bench.cluster.information import ClusterInformation, gather_cluster_information
from mlpstorage_bench.cluster.sources import check_same_package, installed_package
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.export.write import check_format
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.hostnames import KnownHost, are_same_hosts
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi.agreement import RankCollection, collection_differences, order_as
from mlpstorage_bench.mpi.comm import Comm, RanksDivergedError, SessionPhase
from mlpstorage_bench.mpi.watchdog import try_for
from mlpstorage_bench.options.settings import Settings
from mlpstorage_bench.process.stderr import ABORT_STATUS
from mlpstorage_bench.progress.live_region import LiveRegion
from mlpstorage_bench.report.render import check_renderer
from mlpstorage_bench.session import rank_checks, rank_output
from mlpstorage_bench.session.activation import collection_errors
from mlpstorage_bench.session.benchmark_json import branch_of_tests
from mlpstorage_bench.session.continued_session import ContinuedSession
from mlpstorage_bench.session.file_arguments import check_files, file_of_run
from mlpstorage_bench.session.gate import GatePolicy, RunMore, most_looks, rounds
from mlpstorage_bench.session.hookspec import METRICS_HOOK
from mlpstorage_bench.session.junit import add_to_junit
from mlpstorage_bench.session.plugin_hooks import PluginHooks
from mlpstorage_bench.session.provenance import sources_of_tests
from mlpstorage_bench.session.pytest_internals.other_plugins import random_seed, set_random_seed
from mlpstorage_bench.session.pytest_internals.written_files import output_files, use_own_basetemp
from mlpstorage_bench.session.relaunch import settings_of
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.timeout import TimeLimit
from mlpstorage_bench.session.timers import MeasuredClock
from mlpstorage_bench.session.type_requests import check_some_type, check_used, plan_for
from mlpstorage_bench.session.type_run import TypeRun

T = TypeVar("T")

_PLANS = pytest.StashKey[dict[str, Plan]]()
NOTHING_TO_JUDGE = "nothing to judge: no benchmark has run"


def plan_of(config: pytest.Config, settings: Settings, name: str) -> Plan:
    """Return a session's plan for a benchmark type; the same object each time."""
    plans = config.stash.setdefault(_PLANS, {})
    if name not in plans:
        plans[name] = plan_for(settings, name)
    return plans[name]


def cases_of_config(config: pytest.Config, name: str, *, is_open: bool) -> Sequence[str]:
    """Return the cases of a type's plan while tests are collected.

    For wrong settings there are none if the session is open: it checks them when it knows which
    types the tests use. Otherwise they are a usage error.
    """
    try:
        return plan_of(config, settings_of(config), name).cases
    except MlpsError as error:
        if is_open:
            return ()
        raise pytest.UsageError(str(error)) from error


class MlpsSession:
    """Settings, ranks, and the benchmark run if there is one."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        launcher: LauncherEnvironment | None,
        comm: Comm,
    ) -> None:
        self.config = config
        self.settings = settings
        self.launcher = launcher
        self.comm = comm
        self.host = socket.gethostname()
        self.clock = MeasuredClock()
        self.session_id = secrets.token_hex(8)
        """Joins the runs of this session; that of rank 0 counts."""
        self.continued: ContinuedSession | None = None
        """The interrupted session that this one continues, on rank 0; None for a new one."""
        self.parts: list[TypeRun] = []
        """The runs of this session, one for each benchmark type and model, as they opened."""
        self._types: Sequence[str] = ()
        """The benchmark types of the collected tests."""
        self.has_nothing_to_judge = False
        self.current_test: pytest.Item | None = None
        """The test that runs; None between tests."""
        self.hooks = PluginHooks(config)
        self.hooks_watch_progress = False
        """Whether plugins receive the progress of the run; the same on every rank."""
        self.objectives_missed = 0
        """Number of tests that failed because their figures missed an objective."""
        self.remarks: list[str] = []
        """Lines that are printed at the end."""
        self.storage_lines: list[str] = []
        """Lines on the storage under the cache directories, for the results' head; on rank 0."""
        self.exit_status: int | None = None
        """Exit status of all ranks, after they have agreed on it."""
        self.barriers_passed = 0
        """Number of the final barriers that this rank has passed."""
        self.left: BaseException | None = None
        """Exception that ended this rank's tests early; None if they ended normally."""
        self.progress_shown_s = time.monotonic()
        """When the last line of progress was written."""
        self.progress_region: LiveRegion | None = None
        """The region of the terminal that shows progress; None while there is none."""
        self.resources = ExitStack()
        self.parent = None if launcher is None else StatusChannel.of_this_process()
        self._time_limit = TimeLimit(
            settings.timeout_s,
            settings.failure_grace_s,
            comm,
            self.host,
            self.parent,
            self._write_partial_results,
        )

    @property
    def is_root(self) -> bool:
        """Whether this is rank 0, which prints and writes for the session."""
        return self.comm.rank == 0

    @property
    def is_under_users_launcher(self) -> bool:
        """Whether a launcher that this package did not start has started this rank."""
        return self.launcher is not None and self.parent is None

    @property
    def runs(self) -> list[Run]:
        """The runs of this session, in the order in which they opened."""
        return [part.run for part in self.parts]

    def plan(self, name: str) -> Plan:
        """Return the plan for a benchmark type; InvalidInputError for wrong settings."""
        return plan_of(self.config, self.settings, name)

    def path_for(self, run: Run, path: Path) -> Path:
        """Return the path of a run's file: where a session has several runs, each has its own."""
        if len(self.runs) == 1:
            return path
        return file_of_run(path, run.facts.benchmark_type, run.facts.model)

    def parts_of_test(self, fixtures: Collection[str]) -> list[TypeRun]:
        """Return the runs that a test with these fixtures belongs to: all, if it uses no type."""
        names = registry.types_of_fixtures(fixtures)
        return [part for part in self.parts if not names or part.name in names]

    @cached_property
    def cluster(self) -> ClusterInformation:
        """The hosts of this session; gathered by all ranks together, at the first use."""
        return gather_cluster_information(self.comm, self.settings.cache_dir, self.comm.library)

    def on_all_ranks(self, action: Callable[[], T]) -> T:
        """Run an action on every rank; an MlpsError on any rank is a usage error on all of them."""
        problem, result = "", None
        try:
            result = action()
        except MlpsError as error:
            problem = str(error)
        problems = self._agree("a check", (self.host, problem))
        if any(text for _, text in problems):
            raise rank_checks.usage_error(
                rank_checks.format_problems(problems), is_root=self.is_root
            )
        return result  # type: ignore[return-value]  # no problem: the action returned

    def _agree(self, label: str, value: T) -> list[T]:
        """Return every rank's value; a usage error if another rank has ended its session."""
        try:
            return self.comm.agree(label, value, phase=SessionPhase.REPORT, grace_s=None)
        except RanksDivergedError as diverged:
            raise rank_checks.usage_error(
                f"A rank ended its session before all ranks had started: {diverged}",
                is_root=self.is_root,
            ) from diverged

    def time_limit(self, step: str) -> AbstractContextManager[None]:
        """Return a context manager that limits the time of a test or of another session step."""
        return self._time_limit.guard_test(step)

    def extend_time_limit(self, seconds: float) -> None:
        """Give the current step more time."""
        self._time_limit.extend(seconds)

    @contextmanager
    def guard_test(self, item: pytest.Item) -> Iterator[None]:
        """Limit the time of a test, and write the results so far after it."""
        self.current_test = item
        try:
            with self.time_limit(item.nodeid):
                yield
        finally:
            self.current_test = None
        for run in self.runs:
            with suppress(MlpsError):  # the end of the run reports it
                run.checkpoint()

    def abort(self, message: str) -> NoReturn:
        """End all ranks because some do not respond; rank 0 writes its results first."""
        headline = next(line for line in message.splitlines() if line)
        reason = headline.removeprefix("mlpstorage: ")
        self._write_partial_results(reason, self.settings.failure_grace_s)
        self.comm.abort(ABORT_STATUS, message)

    def _write_partial_results(self, reason: str, seconds: float) -> None:
        """Write the run's results so far and the reason of its end; give up after `seconds`."""
        if not self.is_root:
            return
        for run in self.runs:
            run.add_notes([f"the run did not complete: {reason}"])
            try_for(seconds, functools.partial(run.finish, ABORT_STATUS))

    def join(self) -> None:
        """Check ranks, hosts and options on all ranks; an error is a usage error on all of them."""
        hosts = self._check_package()
        if self.parent is not None and self.is_root:
            self.parent.send("hosts", " ".join(hosts))
        self.on_all_ranks(
            lambda: rank_checks.check_ranks(
                self.settings, hosts, launched=self.launcher is not None
            )
        )
        self._check_hosts(hosts)
        self.on_all_ranks(self._check_request)
        if self.launcher is not None:
            rank_output.prepare(self.config, self.comm.rank)
            self.on_all_ranks(lambda: use_own_basetemp(self.config, self.comm.rank))

    def _check_hosts(self, hosts: Sequence[str]) -> None:
        """Check that the ranks run on the user's hosts; rank 0 resolves the names."""
        given = self.settings.hosts
        if not given or (self.settings.wants_ranks and self.launcher is None):
            return
        known = {host.name: host for host in self._agree("the hosts", KnownHost.this())}
        names = [host.name for host in given]
        own = self.is_root and are_same_hosts(names, [*known.values()])
        are_same, *_ = self._agree("the hosts of the ranks", own)
        self.on_all_ranks(lambda: rank_checks.check_hosts(given, hosts, are_same=are_same))

    def _check_package(self) -> list[str]:
        """Check that all ranks run the same version of this package; return each rank's host.

        It precedes all other communication, which may differ between versions.
        """
        if self.comm.size == 1:
            return [self.host]
        installed = self._agree("the package", installed_package(self.host))
        self.on_all_ranks(lambda: check_same_package(installed))
        return [package.host for package in installed]

    def _check_request(self) -> None:
        """Check files, gate and report formats before tests are collected."""
        self._check_files(check_some_type(self.settings))
        for path in self.settings.reports if self.is_root else ():
            check_renderer(path)
        for export in self.settings.exports if self.is_root else ():
            check_format(export)

    def check_types(self, names: Sequence[str]) -> None:
        """Check metrics, plans, files and gate of the benchmark types that tests use."""
        check_used(self.settings, names)
        self._types = names or (registry.DEFAULT,)
        for name in self._types:
            self._add_metrics(name)
        for name in self._types:
            self._check_type(name)

    def _check_type(self, name: str) -> None:
        self.plan(name)
        self._check_files(name)
        if self.settings.gate.is_wanted:
            gate = self.make_gate(name)
            if self.is_root:
                gate.check_baseline(self.settings.tags, lambda: branch_of_tests(self.config))

    def _check_files(self, name: str) -> None:
        if self.settings.user_set:
            check_files(
                *(self.settings, self.plan(name), self.comm.rank, self.comm.size),
                *(self.most_trials, output_files(self.config)),
                path_of=lambda path: self._path_for_type(name, path),
            )

    def _path_for_type(self, name: str, path: Path) -> Path:
        """Return the path of the file of a type's first run, as far as it is known by now."""
        if len(self._types) <= 1:
            return path
        return file_of_run(path, name, self.plan(name).model)

    def _add_metrics(self, name: str) -> None:
        """Use the metrics that plugins declare until the session is over."""
        if not self.hooks.has(METRICS_HOOK):
            return
        kind = registry.load(name)
        kind.use_added_metrics([])
        kind.use_added_metrics(self.hooks.metrics(kind.metrics))
        self.config.add_cleanup(lambda: kind.use_added_metrics([]))

    def agree_on_collection(self, items: list[pytest.Item]) -> None:
        """Give all ranks rank 0's order of tests; a usage error if they collected different ones.

        Plugins such as pytest-randomly choose an order in each process. Its seed becomes rank 0's,
        too.
        """
        own = RankCollection(
            self.comm.rank,
            self.host,
            tuple(item.nodeid for item in items),
            tuple(error.text for error in collection_errors(self.config)),
            sources_of_tests(self.config, self.settings, items) if self.comm.size > 1 else (),
        )
        collections = self._agree("collection", own)
        differences = collection_differences(collections)
        if differences:
            raise rank_checks.usage_error(differences, is_root=self.is_root)
        order = order_as(collections[0].test_ids, own.test_ids)
        items[:] = [items[position] for position in order]
        if any(other.test_ids != collections[0].test_ids for other in collections):
            self.remarks.append(
                "ranks collected the tests in different orders, as with pytest-randomly: all ranks "
                "ran them in rank 0's order"
            )
        seeds = self._agree("the random seed", random_seed(self.config))
        set_random_seed(self.config, seeds[0])

    def make_gate(self, benchmark_type: str) -> GatePolicy:
        """Return the gate with the user's settings, for runs of a benchmark type."""
        settings = self.settings
        kind = registry.load(benchmark_type)
        others = [registry.load(name) for name in self._types if name != benchmark_type]
        return GatePolicy(
            settings.gate,
            kind,
            settings.results_dir,
            self.plan(benchmark_type).gate_rules,
            [metric for other in others for metric in other.metrics],
        )

    def rounds(self, trials: int) -> int:
        """Return the number of trials of a case: more than `trials` for a self-test of the gate."""
        return rounds(self.settings.gate, trials, are_set=self.settings.trials is not None)

    def most_trials(self, trials: int) -> int:
        """Return the largest number of trials of a case, with those that the gate may add."""
        return self.rounds(trials) * most_looks(self.settings.gate)

    def offer_more(self, part: TypeRun, case: str, trials: int, run: RunMore) -> None:
        """Register a function that runs more trials of a case, for the gate's retries."""
        if part.gate is not None:
            part.gate.offer_more(case, trials, self._limited(run, f"more trials of {case}"))

    def _limited(self, run: RunMore, step: str) -> RunMore:
        def run_limited(trials: int) -> None:
            with self.time_limit(step):
                run(trials)

        return run_limited

    def _only_objectives_missed(self, tests_failed: int) -> bool:
        """Whether all tests that failed have measured everything, on all ranks."""
        counts = self._agree("the missed objectives", self.objectives_missed)
        return all(count == tests_failed for count in counts)

    def judge(self, tests_failed: int, report: Callable[[str], None]) -> None:
        """Compare each run with its baseline on all ranks together, if the gate is on.

        Cases that missed an objective have all their figures, so that they are compared, too.
        """
        if not any(part.gate for part in self.parts):
            if self.settings.gate.is_wanted and self.settings.mode != "whatif":
                self.remarks.append(f"ERROR: the gate had {NOTHING_TO_JUDGE}")
                self.has_nothing_to_judge = True
            return
        if tests_failed and not self._only_objectives_missed(tests_failed):
            self.remarks.append("the gate did not judge the run, because tests have failed")
            return
        for part in self.parts:
            if part.gate is None:
                continue
            part.gate.judge(report)
            result = part.gate.result
            if result is not None:
                part.run.gate = result.to_record()
                add_to_junit(self.config, result)
