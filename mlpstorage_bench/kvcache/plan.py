"""The plan of a KV-cache run: a profile with the user's changes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.records import Json, Pauses
from mlpstorage_bench.benchmark_type.sizes import SizeReport
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.kvcache.config import mlperf
from mlpstorage_bench.kvcache.config.profile_file import Profile, split_path
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.datasize import datasize
from mlpstorage_bench.kvcache.trace_files import trace_output, trace_path
from mlpstorage_bench.kvcache.trace_input import SOURCE
from mlpstorage_bench.paths import InputFile, OutputFile
from mlpstorage_bench.profiles.plan import ProfilePlan
from mlpstorage_bench.units import duration

NOT_COMPARABLE = "profile {}: not comparable to MLPerf"


@dataclass(frozen=True)
class KVCachePlan(ProfilePlan[Profile]):
    """A profile with the user's changes, and values derived from it."""

    is_shipped: bool = False
    """Whether the profile is one of the package, not a file of the user."""

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases that can run."""
        return tuple(self.profile.workloads)

    def option(self, name: str, workload: Workload) -> int | None:
        """Return the reference's number of a workload of this name; None if it is not MLPerf's.

        Parameters may differ, as they may in the reference's open division. A simulation measures
        nothing that a reader of options may take for a result.
        """
        is_option = self.is_shipped and name in mlperf.OPTIONS and workload.storage != "null"
        return int(name) if is_option else None

    @property
    def pauses(self) -> Pauses:
        """The profile's pauses."""
        return mlperf.pauses_of(self.profile)

    def schedule(self, cases: Sequence[str]) -> str:
        """Return how long cases take with their pauses, as a sentence; '' without pauses."""
        pauses, trials = self.pauses, self.profile.trials
        pauses_s = len(cases) * trials * (pauses.before_trial_s + pauses.after_trial_s)
        pauses_s += max(0, len(cases) - 1) * pauses.between_cases_s
        if not pauses_s:
            return ""
        workloads = [self.profile.workloads[case] for case in cases]
        trials_s = trials * sum(workload.warmup + workload.duration for workload in workloads)
        return (
            f"{trials * len(cases)} trials and their pauses take about "
            f"{duration(trials_s + pauses_s)}: {duration(trials_s)} of load and "
            f"{duration(pauses_s)} of pauses, and the time to empty the cache before each trial"
        )

    def trials(self, *, is_scenario: bool) -> int:
        """Return the number of trials of each case."""
        profile = self.profile
        return (profile.scenario_trials if is_scenario else None) or profile.trials

    def set_by_user(self, name: str) -> dict[str, object]:
        """Return the parameters of a workload that the user set on the command line."""
        workload = self.profile.workloads[name]
        paths = (split_path(path) for path, _ in self.overrides)
        names = {key for of_workload, key in paths if of_workload in (None, name)}
        return {key: getattr(workload, key) for key in names & set(Workload.model_fields)}

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of a rank's request streams, over all workloads of the profile."""
        digest = hashlib.sha256()
        for name, workload in sorted(self.profile.workloads.items()):
            own = RankWorkload.for_rank(workload, self.profile.seed, rank, ranks)
            digest.update(f"{name} {own.sha256()}\n".encode())
        return digest.hexdigest()

    def input_files(self) -> list[InputFile]:
        """Return the files that the workloads of the profile read."""
        traces = (workload.trace_in for workload in self.profile.workloads.values())
        names = dict.fromkeys(trace for trace in traces if trace is not None)
        return [InputFile(SOURCE, Path(name)) for name in names]

    def output_files(
        self, rank: int, ranks: int, most_trials: Callable[[int], int]
    ) -> list[OutputFile]:
        """Return the files that a rank may write, with any number of trials."""
        paths: dict[Path, None] = {}
        for name, workload in self.profile.workloads.items():
            if workload.trace_out is not None:
                for parts in self._trace_parts(name, rank, ranks, most_trials):
                    paths[trace_path(Path(workload.trace_out), parts)] = None
        return [trace_output(path) for path in paths]

    def _trace_parts(
        self, workload: str, rank: int, ranks: int, most_trials: Callable[[int], int]
    ) -> Iterator[dict[str, str]]:
        """Yield the possible parts of a trace's name, from none to all."""
        count = max(
            most_trials(self.trials(is_scenario=is_scenario)) for is_scenario in (False, True)
        )
        workload_parts: list[dict[str, str]] = [{}, {"workload": workload}]
        trial_parts = [{}, *({"trial": str(trial)} for trial in range(1, count + 1))]
        rank_parts: list[dict[str, str]] = [{}, {"rank": str(rank)}] if ranks > 1 else [{}]
        for parts in itertools.product(workload_parts, trial_parts, rank_parts):
            yield {name: value for part in parts for name, value in part.items()}

    def notes(self) -> list[str]:
        """Return notes for the reader of the results."""
        name, workloads = self.profile.name, self.profile.workloads
        if not self.profile.comparable:
            return [NOT_COMPARABLE.format(name)]
        differing = [
            difference
            for workload, parameters in workloads.items()
            for difference in self.differences(workload, parameters)
        ]
        if not differing:
            return []
        return [f"profile {name}: {mlperf.DIFFERS.format(', '.join(dict.fromkeys(differing)))}"]

    def differences(self, name: str, workload: Workload) -> list[str]:
        """Return what differs between a workload and MLPerf's of this name, trials included."""
        profile = self.profile
        return mlperf.differences(
            name,
            workload.model_dump(),
            trials=profile.trials,
            seed=profile.seed,
            pauses=self.pauses,
        )

    def notes_on_changes(self, name: str, changed: Workload) -> list[str]:
        """Return notes on what a test changes in a workload that is meant for comparison."""
        if not self.profile.comparable:
            return []
        before = self.differences(name, self.profile.workloads[name])
        new = [one for one in self.differences(name, changed) if one not in before]
        return [f"workload {name}: {mlperf.DIFFERS.format(', '.join(new))}"] if new else []

    def parameters(self) -> Json:
        """Return the effective parameters: those of the first workload, then each workload's.

        Readers of the reference's metadata expect one value for each of its parameters, and its
        word for workloads: options.
        """
        return {
            **self._leading_values(),
            "profile": self.profile.name,
            "seed": self.profile.seed,
            "trials": self.profile.trials,
            "delay_between_options": self.profile.delay_between_workloads,
            "options": {name: w.model_dump() for name, w in self.profile.workloads.items()},
        }

    def override_parameters(self) -> Json:
        """Return the keys of the profile that the user set; `parameters` has what a profile has.

        Keys have the names of `parameters`, whichever synonym was typed; the last value counts.
        """
        return {_parameter_path(path): value for path, value in self.overrides}

    def arguments(self) -> Json:
        """Return the values of the reference's arguments; those of the first workload."""
        leading = self._leading_values()
        first = next(iter(self.profile.workloads.values()))
        return {
            **{name: value for name, value in leading.items() if name != "cache_dir"},
            "benchmark": "kvcache",
            "config": None if self.is_shipped else self.profile.name,
            "enable_autoscaling": False,
            "seed": self.profile.seed,
            "trials": self.profile.trials,
            "inter_option_delay": self.profile.delay_between_workloads,
            "max_concurrent_allocs": first.max_concurrent_allocs,
        }

    def _leading_values(self) -> Json:
        first = next(iter(self.profile.workloads.values()))
        return {
            "model": self.model,
            "num_users": first.num_users,
            "duration": first.duration,
            "gpu_mem_gb": first.gpu_mem_gb,
            "cpu_mem_gb": first.cpu_mem_gb,
            "cache_dir": self.cache_dir,
            "generation_mode": first.generation_mode,
            "performance_profile": self.profile.name,
        }

    def datasize(self, ranks_by_host: Sequence[int], capacity: HostCapacity) -> SizeReport:
        """Return the bytes needed by rank, host and tier, and whether they fit."""
        return datasize(self.profile, self.cache_dir, ranks_by_host, capacity)

    def describe(self) -> list[str]:
        """Return a description of the cases, as lines for the terminal."""
        profile = self.profile
        lines = [
            f"profile {profile.name}: {profile.description}",
            (
                f"seed {profile.seed} (+ rank), {profile.trials} trials each; pauses: "
                f"{profile.delay_before_trial:g} s before and {profile.delay_after_trial:g} s "
                f"after each, {profile.delay_between_workloads:g} s between workloads"
            ),
            *filter(None, [self.schedule(self.cases)]),
        ]
        for name, workload in profile.workloads.items():
            facts = (
                f"{workload.model} ({workload.bytes_per_token} bytes/token)",
                (
                    f"{workload.num_users} users per rank"
                    if workload.users_total is None
                    else f"{workload.users_total} users in all"
                ),
                f"{workload.duration:g} s",
                f"gpu {workload.gpu_mem_gb:g} GiB",
                f"cpu {workload.cpu_mem_gb:g} GiB",
                f"{workload.max_concurrent_allocs} requests at once",
                f"generation {workload.generation_mode}",
                *_additional_parameters(workload),
            )
            lines.append(f"workload {name}, {workload.title}: {', '.join(facts)}")
        return list(map(for_terminal, lines))


def _parameter_path(path: str) -> str:
    """Return the dotted path in `parameters` of a key that the user has set."""
    workload, key = split_path(path)
    if workload is not None:
        return f"options.{workload}.{key}"
    return "delay_between_options" if key == "delay_between_workloads" else key


def _additional_parameters(workload: Workload) -> list[str]:
    """Return the parameters that differ from the reference's behaviour."""
    facts = []
    if workload.keyed_by == "prefix":
        facts.append(f"blocks of {workload.tokens_per_block} tokens keyed by prefix")
    if workload.rate is not None:
        ramp = "" if workload.rate_end is None else f" to {workload.rate_end:g}"
        facts.append(f"{workload.arrivals} arrivals, {workload.rate:g}{ramp} per second")
    if workload.trace_in is not None:
        facts.append(f"requests of {workload.trace_in}")
    if workload.requests is not None:
        facts.append(f"{workload.requests} requests per rank")
    if workload.storage == "null":
        facts.append("no storage: simulated")
    return facts
