"""Rules 6.3.1 to 6.3.3 and 6.6: the workload of kv_cache, its ranks and options."""

from __future__ import annotations

from collections.abc import Iterator

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import Invocation, invocations
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.lookups import has_directory
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    not_applicable,
    of_metadata,
    of_summary,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES

TYPES = ("kv_cache",)
RUN = ("run",)
CLOSED = ("closed",)
_VALUES = {
    "model": "--model",
    "num_users": "--num-users",
    "duration": "--duration",
    "gpu_mem_gb": "--gpu-mem-gb",
    "cpu_mem_gb": "--cpu-mem-gb",
    "max_concurrent_allocs": "--max-concurrent-allocs",
    "generation_mode": "--generation-mode",
}
RUN_RULES = Section(RULES.leaf, types=TYPES, commands=RUN)


@RUN_RULES.rule(
    "6.3.1.1",
    "kvcacheFixedWorkloadPerOption",
    "Options 1, 2 and 3 run with the seven values of the published table.",
    "metadata: parameters.options, else the commands",
    divisions=CLOSED,
)
@of_metadata
def fixed_workload(_: Leaf, metadata: Document) -> Outcome:
    recorded = dict(metadata.items("parameters", "options"))
    launches = invocations(metadata)
    if not recorded and not launches:
        return unknown("metadata has neither parameters.options nor commands of trials")
    problems: list[str] = []
    for option, sanctioned in edition.KV_OPTIONS.items():
        if recorded:
            source = recorded.get(str(option))
            found = [] if source is None else [_recorded_values(source)]
        else:
            found = [_command_values(one) for one in launches if one.option == option]
        if not found:
            problems.append(f"option {option} was not run")
        problems += sorted(
            {
                f"option {option}: {name} is {values[name]}; the table has {expected}"
                for values in found
                for name, expected in vars(sanctioned).items()
                if not _is_equal(values[name], expected)
            }
        )
    return violated_if(problems, "options 1, 2 and 3 have the values of the table")


def _recorded_values(option: Document) -> dict[str, float | str | None]:
    return {
        name: option.number(name) if option.number(name) is not None else option.text(name)
        for name in _VALUES
    }


def _command_values(launch: Invocation) -> dict[str, float | str | None]:
    return {
        name: launch.number(flag) if launch.number(flag) is not None else launch.value(flag)
        for name, flag in _VALUES.items()
    }


def _is_equal(found: float | str | None, expected: object) -> bool:
    return found is not None and found == expected


@RUN_RULES.rule(
    "6.3.2.1",
    "kvcacheClosedSequenceLocks",
    "Seed 42, 3 trials, 90 s between options, no configuration of one's own.",
    "metadata: args, parameters.sequence, mlpstorage.sequence, commands",
    divisions=CLOSED,
)
@of_metadata
def closed_sequence(_: Leaf, metadata: Document) -> Outcome:
    sequence, args = metadata.part("parameters", "sequence"), metadata.part("args")
    launches = invocations(metadata)
    problems: list[str] = []
    for name, found, expected in (
        ("the seed", _first(sequence.number("seed"), args.number("seed")), edition.KV_SEED),
        ("trials", _first(sequence.number("trials"), args.number("trials")), edition.KV_TRIALS),
        (
            "the delay between options",
            _first(sequence.number("inter_option_delay_s"), args.number("inter_option_delay")),
            edition.KV_DELAY_S,
        ),
    ):
        if found is None:
            problems.append(f"{name} is not recorded; {expected} is demanded")
        elif found != expected:
            problems.append(f"{name} is {found:g}; {expected} is demanded")
    seeds = {launch.number("--seed-base") for launch in launches} - {float(edition.KV_SEED)}
    problems += [f"a command has --seed-base {_shown(seed)}; 42 is demanded" for seed in seeds]
    if sequence.text("config") not in {None, "default"} or args.text("config") is not None:
        problems.append("a configuration of one's own was given")
    for option in edition.KV_OPTIONS:
        trials = {launch.trial for launch in launches if launch.option == option}
        if launches and len(trials) != edition.KV_TRIALS:
            problems.append(f"option {option}: {len(trials)} trials were started; 3 are demanded")
    if metadata.has("mlpstorage", "sequence"):
        problems += _own_sequence(metadata.part("mlpstorage", "sequence"))
    return violated_if(problems, "seed 42, 3 trials, 90 s between options")


def _own_sequence(sequence: Document) -> Iterator[str]:
    """Yield what differs from the sequence in the pauses and steps that our metadata records."""
    for name in ("delay_before_trial_s", "delay_after_trial_s"):
        if sequence.number(name) != edition.KV_DELAY_S:
            found = _shown(sequence.number(name))
            yield f"{name} is {found}; {edition.KV_DELAY_S} is demanded"
    steps = sequence.parts("steps")
    for option in edition.KV_OPTIONS:
        own = [step for step in steps if step.count("option") == option]
        trials = sum(step.text("step") == "trial" for step in own)
        if trials != edition.KV_TRIALS:
            yield f"option {option}: {trials} trials ran; {edition.KV_TRIALS} are demanded"
    short = [
        step
        for step in steps
        if (step.text("step") or "").startswith("pause_")
        and (step.number("seconds") or 0.0) < edition.KV_DELAY_S
    ]
    if short:
        yield f"{len(short)} pauses were shorter than {edition.KV_DELAY_S} s"


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _shown(value: float | None) -> str:
    return "absent" if value is None else f"{value:g}"


@RUN_RULES.rule(
    "6.3.2.2",
    "kvcacheAutoscalingProhibited",
    "Autoscaling is off.",
    "metadata: commands (args has a default that did not run)",
    divisions=CLOSED,
)
def no_autoscaling(leaf: Leaf) -> Outcome:
    launches = _launches(leaf)
    if isinstance(launches, Outcome):
        return launches
    found = [_place(launch) for launch in launches if "--enable-autoscaling" in launch.flags]
    return violated_if(
        [f"--enable-autoscaling in {place}" for place in found], "no command switches it on"
    )


@RUN_RULES.rule(
    "6.3.3.1",
    "kvcacheClientDefinition",
    "The number of ranks is ranks per host x hosts, the same everywhere.",
    "summary, commands",
)
@of_summary
def client_definition(leaf: Leaf, summary: Document) -> Outcome:
    ranks, hosts = summary.count("total_ranks"), summary.count("host_count")
    per_host = summary.count("npernode")
    if ranks is None or hosts is None or per_host is None:
        return unknown("the summary lacks total_ranks, host_count or npernode")
    problems = []
    if ranks != hosts * per_host:
        problems.append(f"{ranks} ranks on {hosts} hosts with {per_host} ranks each")
    launches = _launches(leaf)
    for launch in [] if isinstance(launches, Outcome) else launches:
        if launch.ranks is not None and launch.ranks != ranks:
            problems.append(f"{_place(launch)}: -n {launch.ranks}; the summary has {ranks}")
        if launch.slots is not None and sum(launch.slots.values()) != ranks:
            total = sum(launch.slots.values())
            problems.append(f"{_place(launch)}: {total} slots on the hosts for {ranks} ranks")
        if launch.slots is not None and len(launch.slots) != hosts:
            problems.append(f"{_place(launch)}: {len(launch.slots)} hosts; the summary has {hosts}")
    return violated_if(problems, f"{ranks} ranks on {hosts} hosts")


@RUN_RULES.rule(
    "6.3.3.2",
    "kvcacheScaleUpModel",
    "Every rank has the option's full number of users and of requests in flight.",
    "commands, rank files",
    divisions=CLOSED,
)
def scale_up(leaf: Leaf) -> Outcome:
    launches = _launches(leaf)
    if isinstance(launches, Outcome):
        return launches
    problems = []
    for launch in launches:
        sanctioned = edition.KV_OPTIONS.get(launch.option or 0)
        if sanctioned is None:
            continue
        for flag, expected in (
            ("--num-users", sanctioned.num_users),
            ("--max-concurrent-allocs", sanctioned.max_concurrent_allocs),
        ):
            if launch.number(flag) != expected:
                found = launch.value(flag)
                problems.append(f"{_place(launch)}: {flag} {found}; {expected} per rank")
    for file in leaf.rank_files:
        seed = None if isinstance(file.document, Unreadable) else file.document.count("seed")
        if seed is not None and seed != edition.KV_SEED + file.rank:
            problems.append(
                f"option_{file.option}/trial_{file.trial}/rank_{file.rank}: seed {seed}; "
                f"{edition.KV_SEED + file.rank} is that of this rank"
            )
    return violated_if(problems, "one command for all ranks, with the option's users")


@RUN_RULES.rule(
    "6.3.3.3",
    "kvcachePerClientIsolation",
    "No two ranks share a results file or a cache directory.",
    "tree, commands",
)
def isolation(leaf: Leaf) -> Outcome:
    places: dict[tuple[int, int, int], int] = {}
    for file in leaf.rank_files:
        key = (file.option, file.trial, file.rank)
        places[key] = places.get(key, 0) + 1
    problems = [
        f"option_{option}/trial_{trial}/rank_{rank} holds {files} results files"
        for (option, trial, rank), files in places.items()
        if files > 1
    ]
    launches = _launches(leaf)
    problems += [
        f"{_place(launch)}: no --rank-cache-base, so ranks share a directory"
        for launch in ([] if isinstance(launches, Outcome) else launches)
        if launch.value("--rank-cache-base") is None
    ]
    if not places and isinstance(launches, Outcome):
        return unknown("neither rank files nor commands")
    return violated_if(problems, "each rank has its own directory and cache")


@RUN_RULES.rule(
    "6.3.3.4",
    "kvcacheSharedResultsDir",
    "With several hosts, the results directory is the same on each of them.",
    ".fs_probe, summary",
)
def shared_results(leaf: Leaf) -> Outcome:
    summary = leaf.any_summary
    hosts = None if isinstance(summary, Unreadable) else summary.count("host_count")
    if hosts is None:
        return unknown("the number of hosts is not recorded")
    if hosts == 1:
        return not_applicable("one host")
    probe = leaf.path / ".fs_probe"
    if not has_directory(probe):
        return unknown(f"{hosts} hosts, and no .fs_probe")
    markers = len({path.name.rpartition("__")[2] for path in probe.glob("*.ok")})
    problems = [f"{markers} of {hosts} hosts left a marker in .fs_probe"] * (markers < hosts)
    return violated_if(problems, f"each of {hosts} hosts left a marker")


@RUN_RULES.rule(
    "6.6.1",
    "kvcacheClosedImmutable",
    "Only system name, directories, hosts, ranks and options of MPI are the submitter's.",
    "metadata: args, commands",
    divisions=CLOSED,
)
@of_metadata
def closed_immutable(_: Leaf, metadata: Document) -> Outcome:
    launches = invocations(metadata)
    features = [name for name, _ in metadata.items("parameters", "features")]
    problems = [f"the feature {name} was switched on" for name in features]
    problems += _foreign_flags(launches, edition.KV_RANK_FLAGS)
    if not metadata.part("args", "params").is_empty and metadata.texts("args", "params"):
        problems.append(f"args.params is {' '.join(metadata.texts('args', 'params'))!r}")
    if not launches and not metadata.has("parameters", "features"):
        return unknown("metadata records no command of a trial")
    return violated_if(problems, "the commands have the sanctioned options alone")


@RUN_RULES.rule(
    "6.6.2",
    "kvcacheOpenAllowances",
    "Open adds only what the rules list.",
    "commands",
    divisions=("open",),
)
def open_allowances(leaf: Leaf) -> Outcome:
    launches = _launches(leaf)
    if isinstance(launches, Outcome):
        return launches
    return violated_if(
        _foreign_flags(launches, edition.KV_OPEN_FLAGS), "every option is one that open may change"
    )


@RUN_RULES.rule(
    "6.6.3",
    "kvcacheOpenInvocationNote",
    "The exact invocation is recorded.",
    "metadata: commands",
    divisions=("open",),
)
@of_metadata
def open_invocation(_: Leaf, metadata: Document) -> Outcome:
    recorded = invocations(metadata) or metadata.text("executed_command")
    return violated_if([] if recorded else ["no command is recorded"], "the commands are recorded")


def _launches(leaf: Leaf) -> list[Invocation] | Outcome:
    """Return the launches of trials, or that there are none to judge by."""
    if isinstance(leaf.metadata, Unreadable):
        return unknown(leaf.metadata.cause)
    found = invocations(leaf.metadata)
    return found or unknown("metadata records no command of a trial")


def _foreign_flags(launches: list[Invocation], allowed: frozenset[str]) -> Iterator[str]:
    foreign: dict[str, list[str]] = {}
    for launch in launches:
        for flag in sorted(launch.flags - allowed):
            foreign.setdefault(flag, []).append(_place(launch))
    for flag, places in foreign.items():
        yield f"{flag} in {places[0]}" + (f" and {len(places) - 1} more" if places[1:] else "")


def _place(launch: Invocation) -> str:
    return f"option {launch.option}, trial {launch.trial}"
