"""The one object that lives as long as a pytest session."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import pytest

from mlpstorage_bench import benchmark_json, ranks, registry, timers
from mlpstorage_bench.cluster.information import ClusterInformation, gather_cluster_information
from mlpstorage_bench.cluster.site import check_cache_dirs
from mlpstorage_bench.cluster.sources import check_same_package, installed_package
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.gating import Gate, Gating, RunMore, rounds
from mlpstorage_bench.history.archive import enter_run
from mlpstorage_bench.joining import RUN_END, SESSION_END
from mlpstorage_bench.mpi.agreement import RankCollection, collection_differences
from mlpstorage_bench.mpi.comm import ABORT_STATUS, ApartError, Comm, Notice, Place
from mlpstorage_bench.mpi.dispatches import Dispatches
from mlpstorage_bench.mpi.environment import LauncherEnvironment
from mlpstorage_bench.mpi.naming import KnownHost, are_same_hosts
from mlpstorage_bench.mpi.watchdog import try_for
from mlpstorage_bench.names import as_segment
from mlpstorage_bench.provenance import run_facts, sources_of_tests
from mlpstorage_bench.report.render import check_renderer, write_report
from mlpstorage_bench.results.tree import create_run_directory
from mlpstorage_bench.run import Run
from mlpstorage_bench.settings import Settings
from mlpstorage_bench.time_limit import TimeLimit
from mlpstorage_bench.timers import MeasuredClock

T = TypeVar("T")

KEY = pytest.StashKey["MlpsSession"]()
SCENARIO = "mlps_scenario"
"""Marks a workload beside the profile's options."""

_COMMON_ENDS = frozenset(
    {
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    }
)
"""Statuses to which ranks come together; with any other a rank may have left on its own."""


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
        self.run: Run | None = None
        self.gating: Gating | None = None
        self._has_nothing_to_judge = False
        self.engine: Any = None
        self.collection_errors: list[str] = []
        self.remarks: list[str] = []
        """What the user should read at the end."""
        self.exit_status: int | None = None
        """What all ranks exit with, once they have agreed on it."""
        self.has_met = False
        """Whether this rank has gone to the session's end, where all meet."""
        self._resources = ExitStack()
        self._parent = None if launcher is None else Dispatches.of(os.environ)
        self._time_limit = TimeLimit(
            settings.timeout_s,
            settings.failure_grace_s,
            comm,
            self.host,
            self._parent,
            self._leave_last_words,
        )

    @property
    def is_root(self) -> bool:
        """Whether this rank speaks for the session."""
        return self.comm.rank == 0

    @cached_property
    def plan(self) -> registry.Plan:
        """What will run, of the type that this session runs."""
        return registry.load(registry.DEFAULT).plan(self.settings.plan_request())

    @cached_property
    def cluster(self) -> ClusterInformation:
        """The hosts of this session; gathered by all ranks together, at the first use."""
        return gather_cluster_information(self.comm, self.settings.cache_dir, self.comm.library)

    def together(self, action: Callable[[], T]) -> T:
        """Do something on every rank; an error of ours on any is a usage error on all of them."""
        problem, result = "", None
        try:
            result = action()
        except MlpsError as error:
            problem = str(error)
        problems = self._meet("a check", (self.host, problem))
        if any(text for _, text in problems):
            raise ranks.usage_error(_tell(problems), is_root=self.is_root)
        return result  # type: ignore[return-value]  # no problem: the action returned

    def _meet(self, label: str, value: T) -> list[T]:
        """Return every rank's value; a usage error where another rank has ended its session."""
        try:
            return self.comm.agree(label, value, place=Place.REPORT, grace_s=None)
        except ApartError as apart:
            raise ranks.usage_error(
                f"A rank ended its session before all had begun: {apart}",
                is_root=self.is_root,
            ) from apart

    def limiting(self, step: str) -> AbstractContextManager[None]:
        """Limit the time of what is done inside: a test, or a step of the session beside tests."""
        return self._time_limit.watching(step)

    @contextmanager
    def watching(self, item: pytest.Item) -> Iterator[None]:
        """Limit the time of a test, and keep its results in case that no other comes to its end."""
        with self.limiting(item.nodeid):
            yield
        if self.run is not None:
            with suppress(MlpsError):  # the run's end will tell
                self.run.checkpoint()

    def abort(self, message: str) -> NoReturn:
        """End all ranks because some cannot be reached; rank 0's results are kept."""
        headline = next(line for line in message.splitlines() if line)
        self._leave_last_words(headline.removeprefix("mlpstorage: "), self.settings.failure_grace_s)
        self.comm.abort(ABORT_STATUS, message)

    def _leave_last_words(self, reason: str, seconds: float) -> None:
        """Write what is known of the run, and why it ends; but wait only so long for the disk."""
        run = self.run
        if run is None or not self.is_root:
            return
        run.add_notes([f"the run did not come to its end: {reason}"])
        try_for(seconds, lambda: run.finish(ABORT_STATUS))

    def join(self) -> None:
        """Become one session with the other ranks, or raise a usage error on all of them."""
        hosts = self._check_package()
        if self._parent is not None and self.is_root:
            self._parent.send("hosts", " ".join(hosts))
        self.together(
            lambda: ranks.check_ranks(self.settings, hosts, launched=self.launcher is not None)
        )
        self._check_hosts(hosts)
        self.together(self._check_request)
        if self.launcher is not None:
            ranks.prepare(self.config, is_root=self.is_root)

    def _check_hosts(self, hosts: Sequence[str]) -> None:
        """Check where the ranks are; rank 0 knows where the names lead that the user gave."""
        given = self.settings.hosts
        if not given or (self.settings.wants_ranks and self.launcher is None):
            return
        known = {host.name: host for host in self._meet("the hosts", KnownHost.this())}
        names = [host.name for host in given]
        own = self.is_root and are_same_hosts(names, [*known.values()])
        are_same, *_ = self._meet("where the ranks are", own)
        self.together(lambda: ranks.check_hosts(given, hosts, are_same=are_same))

    def _check_package(self) -> list[str]:
        """Check that all ranks run the same version of this; return each rank's host.

        This comes before all else that ranks say to each other: versions may differ in that.
        """
        if self.comm.size == 1:
            return [self.host]
        installed = self._meet("the package", installed_package(self.host))
        self.together(lambda: check_same_package(installed))
        return [package.host for package in installed]

    def _check_request(self) -> None:
        """Find what cannot be done before anything is collected."""
        if self.settings.user_set:
            self.plan  # noqa: B018 - made now, and kept
        if self.settings.gate.is_wanted:
            self._make_gate(registry.DEFAULT)
        for path in self.settings.reports if self.is_root else ():
            check_renderer(path)

    def agree_on_collection(self, items: Sequence[pytest.Item]) -> None:
        """Raise a usage error on every rank when the ranks did not collect the same tests."""
        own = RankCollection(
            self.comm.rank,
            self.host,
            tuple(item.nodeid for item in items),
            tuple(self.collection_errors),
            sources_of_tests(self.config, self.settings, items) if self.comm.size > 1 else (),
        )
        collections = self._meet("collection", own)
        differences = collection_differences(collections)
        if differences:
            raise ranks.usage_error(differences, is_root=self.is_root)

    def agree_on_end(self, exit_status: int) -> int:
        """Wait until every rank is at its end, and return the status that all of them exit with."""
        if exit_status == pytest.ExitCode.OK and self.gating is not None:
            exit_status = self.gating.status
        if exit_status == pytest.ExitCode.OK and self._has_nothing_to_judge:
            exit_status = int(pytest.ExitCode.USAGE_ERROR)
        own = (self.host, exit_status)
        is_abnormal = exit_status not in _COMMON_ENDS
        grace_s = self.settings.failure_grace_s if is_abnormal else None
        if is_abnormal:
            self.comm.announce(Notice.FAILED)
            if self.run is not None:
                self.run.note_leaving(exit_status)
        try:
            ends = self.comm.agree(SESSION_END, own, place=Place.FINISH, grace_s=grace_s)
        except TimeoutError:
            self.abort(
                f"\nmlpstorage: rank {self.comm.rank} on {self.host} ended its session with status "
                f"{exit_status}, and other ranks did not get to know within {grace_s:g} s. All "
                "ranks are aborted.",
            )
        self.remarks += [
            f"rank {rank} on {host} ended its session with status {status}"
            for rank, (host, status) in enumerate(ends)
            if status != ends[0][1]
        ]
        return max(status for _, status in ends)

    def begin(self, items: Sequence[pytest.Item]) -> None:
        """Prepare for the collected tests: what is left out, timers, and the run they call for."""
        scenarios = [item for item in items if item.get_closest_marker(SCENARIO)]
        if scenarios and self.plan.comparable:
            reason = f"profile {self.settings.profile} is its options alone, to be compared"
            for item in scenarios:
                item.add_marker(pytest.mark.skip(reason=reason))
        timed = [item for item in items if "benchmark" in fixtures_of(item)]
        ours = [item for item in timed if registry.types_of_fixtures(fixtures_of(item))]
        others = [item for item in timed if not registry.types_of_fixtures(fixtures_of(item))]
        timers.use_timer(ours, self.clock.measured_seconds)
        if others and self.comm.size > 1:
            timers.use_timer(others, timers.collective_timer(self.comm), warmup=False)
        self.open_run({name for item in items for name in fixtures_of(item)})

    def open_run(self, fixtures: Collection[str]) -> None:
        """Open the run that these fixtures call for: its directory, and its type's engine."""
        names = registry.types_of_fixtures(fixtures)
        if len(names) > 1:
            message = (
                f"One session is one run of one benchmark type; collected: {', '.join(names)}. "
                "Run them in sessions of their own"
            )
            raise ranks.usage_error(message, is_root=self.is_root)
        if not names and "mlps_run" not in fixtures:
            return
        self._check_plugins()
        self._resources.enter_context(self.comm.hearing_interrupts())
        benchmark_type = registry.load(names[0] if names else registry.DEFAULT)
        settings, plan = self.settings, self.plan
        self.together(lambda: benchmark_type.check_site(settings.cache_dir))
        cluster = self.cluster
        self.together(lambda: check_cache_dirs(cluster.hosts))
        rank, size = self.comm.rank, self.comm.size
        own_hash = self.together(lambda: plan.request_stream_sha256(rank, size))
        hashes = self.comm.allgather(own_hash)
        systemname = settings.systemname or as_segment(cluster.hostnames[0])
        created = self.comm.bcast(
            self.together(
                lambda: (
                    create_run_directory(
                        settings.results_dir,
                        settings.mode,
                        settings.orgname,
                        systemname,
                        benchmark_type.name,
                        plan.model,
                        "run",
                    )
                    if self.is_root
                    else None
                )
            )
        )
        assert created is not None
        location, started = created
        engine = benchmark_type.open(
            ranks.Peers(self.comm),
            self.host,
            settings.cache_dir,
            cluster.ranks_sharing_cache(self.comm.rank),
        )
        self.run = Run(
            location,
            started,
            run_facts(self, hashes, systemname, benchmark_type.name, location.timestamp),
            benchmark_type,
            benchmark_json.maker(self.config),
            self.is_root,
        )
        self._open_gate(self.run)
        self.together(self.run.write)
        if self._parent is not None and self.is_root:
            self._parent.send("run", str(location.metadata_path))
        self.engine = self.together(lambda: self._resources.enter_context(engine))
        notes = [note for notes in self.comm.allgather(self.engine.notes) for note in notes]
        self.run.add_notes([*plan.notes(), *dict.fromkeys(notes), *cluster.inconsistencies])

    def _check_plugins(self) -> None:
        """Raise a usage error where plugins keep benchmarks from being measured."""
        problem = ""
        if not self.config.pluginmanager.hasplugin("benchmark"):
            problem = "A run needs pytest-benchmark: do not turn it off (-p)"
        if hasattr(self.config, "workerinput"):
            problem = (
                "Workers of pytest-xdist would disturb each other's measurements: leave out -n"
            )
        if problem:
            raise ranks.usage_error(problem, is_root=self.is_root)

    def _make_gate(self, benchmark_type: str) -> Gate:
        settings = self.settings
        kind = registry.load(benchmark_type)
        return Gate(settings.gate, kind, settings.results_dir, self.plan.gate_rules)

    def _open_gate(self, run: Run) -> None:
        """Prepare for what comes after the run: its comparison with others."""
        if self.settings.gate.is_wanted:
            self.gating = Gating(
                self._make_gate(run.benchmark_type.name),
                lambda: run.metadata,
                self.comm.bcast,
                is_root=self.is_root,
            )

    def rounds(self, trials: int) -> int:
        """Return how many trials a case has that is to have so many: more for a self-test."""
        return rounds(self.settings.gate, trials, are_set=self.settings.trials is not None)

    def offer_more(self, case: str, trials: int, run: RunMore) -> None:
        """Take what runs more trials of a case, for a gate that wants them."""
        if self.gating is not None:
            self.gating.offer_more(case, trials, run)

    def judge(self, tests_failed: int, tell: Callable[[str], None]) -> None:
        """Compare the run with its baseline, all ranks together, if that was asked for."""
        if self.gating is None or self.run is None:
            if self.settings.gate.is_wanted and self.settings.mode != "whatif":
                self.remarks.append("ERROR: the gate had nothing to judge: no benchmark has run")
                self._has_nothing_to_judge = True
            return
        if tests_failed:
            self.remarks.append("the gate was not asked: tests have failed")
            return
        self.gating.judge(tell)
        if self.gating.result is not None:
            self.run.gate = self.gating.result.to_dict()
            self.gating.note_in_junit_xml(self.config)

    def close_run(self, exit_status: int) -> int:
        """Release what the run holds, and write its results; return the session's exit status.

        Cache files that cannot be removed, and results that cannot be written, fail the session on
        every rank.
        """
        told = []
        try:
            self._resources.close()
        except MlpsError as error:
            told.append(str(error))
            exit_status = exit_status or int(pytest.ExitCode.TESTS_FAILED)
        try:
            self._leave_results(exit_status)
        except MlpsError as error:
            told.append(str(error))
        problem = "\n".join(told)
        problems = self.comm.agree(RUN_END, (self.host, problem), place=Place.FINISH, grace_s=None)
        if not any(text for _, text in problems):
            return exit_status
        self.remarks.append(f"ERROR: {_tell(problems)}")
        return exit_status or int(pytest.ExitCode.TESTS_FAILED)

    def _leave_results(self, exit_status: int) -> None:
        metadata = None if self.run is None else self.run.finish(exit_status)
        if metadata is not None:
            self._enter_in_history()
            for path in self.settings.reports:
                self.remarks.append(f"report: {write_report(path, metadata)}")

    def _enter_in_history(self) -> None:
        """Let the history know of the run; without that it will find it by itself."""
        assert self.run is not None
        try:
            enter_run(self.settings.results_dir, self.run.location.metadata_path)
        except (sqlite3.Error, OSError) as error:
            self.remarks.append(
                f"the history's index was not written ({error}); --mlps-history reads the run's "
                "metadata instead"
            )


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """Return the names of the fixtures that a test uses."""
    return getattr(item, "fixturenames", ())


def _tell(problems: Sequence[tuple[str, str]]) -> str:
    """Put the problems of all ranks into one text; a problem that all have is told once."""
    texts = {text for _, text in problems}
    if len(texts) == 1:
        return texts.pop()
    places = [f"rank {rank} on {host}: " for rank, (host, _) in enumerate(problems)]
    return "\n".join(
        text if text.startswith(place) else place + text
        for place, (_, text) in zip(places, problems, strict=True)
        if text
    )
