"""State of a pytest session: settings, ranks, plans and runs."""

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
from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.cluster.information import ClusterInformation, gather_cluster_information
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi.comm import Comm, RanksDivergedError, SessionPhase
from mlpstorage_bench.mpi.watchdog import try_for
from mlpstorage_bench.options.settings import Settings
from mlpstorage_bench.process.stderr import ABORT_STATUS
from mlpstorage_bench.progress.live_region import LiveRegion
from mlpstorage_bench.session import rank_checks
from mlpstorage_bench.session.continued_session import ContinuedSession
from mlpstorage_bench.session.file_arguments import files_of_runs
from mlpstorage_bench.session.plugin_hooks import PluginHooks
from mlpstorage_bench.session.relaunch import settings_of
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.timeout import TimeLimit
from mlpstorage_bench.session.timers import MeasuredClock
from mlpstorage_bench.session.type_requests import plan_for
from mlpstorage_bench.session.type_run import TypeRun

T = TypeVar("T")

_PLANS = pytest.StashKey[dict[str, Plan]]()


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
        self.types: Sequence[str] = ()
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
        self.storage_changes: list[str] = []
        """Sentences on the storage's change since the last run, for the results' head; on rank 0.
        """
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
        runs = self.runs
        named = [(one.facts.benchmark_type, one.facts.model) for one in runs]
        return files_of_runs(path, named)[runs.index(run)]

    def title_of(self, run: Run) -> str:
        """Return type and model of a run, and its number where several runs have the same."""
        named = [f"{one.facts.benchmark_type}, {one.facts.model}" for one in self.runs]
        place = self.runs.index(run)
        own, count = named[place], named.count(named[place])
        return own if count == 1 else f"{own}, run {named[: place + 1].count(own)} of {count}"

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
        problems = self.agree("a check", (self.host, problem))
        if any(text for _, text in problems):
            raise rank_checks.usage_error(
                rank_checks.format_problems(problems), is_root=self.is_root
            )
        return result  # type: ignore[return-value]  # no problem: the action returned

    def agree(self, label: str, value: T) -> list[T]:
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
