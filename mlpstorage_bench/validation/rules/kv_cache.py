"""Rules 6.3.1, 6.3.2 and 6.6: options of kv_cache, their sequence, and what may be changed."""

from __future__ import annotations

from collections.abc import Iterator

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.invocation import Invocation, invocations
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.validation import edition
from mlpstorage_bench.validation.rule import (
    Outcome,
    Section,
    of_metadata,
    unknown,
    violated_if,
)
from mlpstorage_bench.validation.rules import RULES
from mlpstorage_bench.validation.rules.shared import launches_of

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
    launches = launches_of(leaf)
    if isinstance(launches, Outcome):
        return launches
    found = [launch.place for launch in launches if "--enable-autoscaling" in launch.flags]
    return violated_if(
        [f"--enable-autoscaling in {place}" for place in found], "no command switches it on"
    )


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
    launches = launches_of(leaf)
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


def _foreign_flags(launches: list[Invocation], allowed: frozenset[str]) -> Iterator[str]:
    foreign: dict[str, list[str]] = {}
    for launch in launches:
        for flag in sorted(launch.flags - allowed):
            foreign.setdefault(flag, []).append(launch.place)
    for flag, places in foreign.items():
        yield f"{flag} in {places[0]}" + (f" and {len(places) - 1} more" if places[1:] else "")
