"""Options of the reference that have another form here, for messages about unknown arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.launch.hosts import HOSTS_OPTION
from mlpstorage_bench.options.parameters_of_reference import every_parameter, form_of_parameter

_OWN_PREFIX = "--mlps-"

_PARAMETERS = {
    "model": "model",
    "num-users": "num_users",
    "duration": "duration",
    "gpu-mem-gb": "gpu_mem_gb",
    "cpu-mem-gb": "cpu_mem_gb",
    "storage-capacity-gb": "storage_capacity_gb",
    "max-concurrent-allocs": "max_concurrent_allocs",
    "generation-mode": "generation_mode",
    "tensor-parallel": "tensor_parallel",
    "rag-num-docs": "rag_documents",
    "max-requests": "requests",
    "precondition-size-gb": "precondition_gb",
    "precondition-threads": "lanes",
    "burst-trace-path": "trace_in",
    "dataset-path": "trace_in",
    "trace-speedup": "trace_speed",
    "inter-option-delay": "delay_between_workloads",
    "accelerator-type": "accelerator",
    "client-host-memory-in-gb": "client_host_memory_in_gb",
    "num-checkpoints-read": "num_checkpoints_read",
    "num-checkpoints-write": "num_checkpoints_write",
}
"""Options whose value is a parameter of a profile, and the parameter."""

_RENAMED = {
    "cache-dir": "cache-dir",
    "data-dir": "cache-dir",
    "checkpoint-folder": "cache-dir",
    "results-dir": "results-dir",
    "seed": "seed",
    "trials": "trials",
    "loops": "trials",
    "orgname": "orgname",
    "systemname": "systemname",
    "config": "profile",
    "config-file": "profile",
    "params": "set",
    "num-processes-per-client": "npernode",
}
"""Options with the value of one of ours, and ours without its prefix."""

_PARAMS = ("--params", f"{_OWN_PREFIX}params")
"""The option for parameters of the workload, which each have a form of their own here."""
_NONE = "this is not simulated; leave it out"
_NOT_NEEDED = "not needed; leave it out"
_OTHERS = {
    "open": "--mlps-mode open",
    "closed": "--mlps-mode closed",
    "what-if": "--mlps-mode whatif",
    "dry-run": "--mlps-mode whatif",
    "request-rate": "--mlps-set arrivals=constant --mlps-set rate={}",
    "prefill-only": "--mlps-set phase=prefill",
    "decode-only": "--mlps-set phase=decode",
    "precondition": "--mlps-set precondition=steady",
    "enable-rag": "--mlps-set rag_share=0.1",
    "use-burst-trace": "--mlps-set trace_in=FILE",
    "io-trace-log": "--mlps-set trace_out={} --mlps-set storage=null",
    "disable-prefix-caching": "--mlps-set keyed_by=turn, the default",
    "num-gpus": "--mlps-set gpu_mem_gb=SIZE, with the memory of all GPUs of a rank",
    "num-client-hosts": "--mlps-hosts, with the names of the hosts",
    "num-accelerators": "--mlps-num-processes {}, as each rank is an accelerator",
    "max-accelerators": "--mlps-num-processes {}, as each rank is an accelerator",
    "checkpoint-subset": "--mlps-set subset=true",
    "o-direct": "--mlps-set io_mode=direct, the default",
    "performance-profile": "--mlps-gate-rule, or slos in a profile",
    "output": "--mlps-results-dir DIR",
    "xlsx-output": "--mlps-history=ID --mlps-history-format=csv, after the run",
    "enable-latency-tracing": "not needed: results have the latencies of the block layer",
    "disable-multi-turn": _NONE,
    "enable-autoscaling": _NONE,
    "autoscaler-mode": _NONE,
    "target-saturation": _NONE,
    "validation-trace": "--mlps-set trace_in={}",
    "max-conversations": "--mlps-set requests=N",
    "replay-cycles": "--mlps-trials N",
    "kvcache-bin-path": _NOT_NEEDED,
    "dlio-bin-path": _NOT_NEEDED,
    "drop-caches-timeout-seconds": _NOT_NEEDED,
    "file": _NOT_NEEDED,
    "object": "only files are measured",
    "data-access-protocol": "only files are measured",
    "skip-validation": _NOT_NEEDED,
    "skip-ssh-check": _NOT_NEEDED,
    "skip-fs-separation-gate": _NOT_NEEDED,
    "verify-lockfile": _NOT_NEEDED,
    "allow-invalid-params": "--mlps-mode open",
    "skip-timeseries": _NOT_NEEDED,
    "timeseries-interval": _NOT_NEEDED,
    "max-timeseries-samples": _NOT_NEEDED,
    "stream-log-level": _NOT_NEEDED,
}
"""Other options, and their form here; {} is the value."""


def every_counterpart() -> Iterator[tuple[str, str]]:
    """Yield each option of the reference that has another form here, and that form."""
    for key in (*_PARAMETERS, *_RENAMED, *_OTHERS):
        yield f"--{key}", _form_here(f"--{key}", "VALUE")
    for name, form in every_parameter():
        yield f"--params {name}=VALUE", form


def may_have_counterpart(arguments: Iterable[str]) -> bool:
    """Whether any argument could be an option that `counterparts` explains, if it is unknown."""
    names = (argument.partition("=")[0] for argument in arguments)
    return any(name.startswith(_OWN_PREFIX) or _form_here(name, "") for name in names)


def counterparts(
    unknown: Sequence[str], arguments: Sequence[str], known: Iterable[str]
) -> list[str]:
    """Return a line for each unknown argument that has another form here.

    `arguments` are all arguments, in which an option's value follows it, and `known` are our
    options.
    """
    return list(dict.fromkeys(_lines(unknown, arguments, [*known])))


def _lines(unknown: Sequence[str], arguments: Sequence[str], known: list[str]) -> Iterator[str]:
    for argument in unknown:
        name, equals, value = argument.partition("=")
        if name in _PARAMS:
            yield from _forms_of_parameters(name, [value] if equals else [], argument, arguments)
            continue
        form = _form_here(name, value if equals else _next_word(argument, arguments))
        if form:
            yield f"{name}: {form}"
        elif name.startswith(_OWN_PREFIX):
            hint = nearest(name, known)
            if hint:
                yield f"{name}: {hint}"


def _forms_of_parameters(
    option: str, given: list[str], argument: str, arguments: Sequence[str]
) -> Iterator[str]:
    """Yield a line for each parameter that follows `--params`, as the reference takes several."""
    if not given and argument in arguments:
        following = arguments[arguments.index(argument) + 1 :]
        given = [*itertools.takewhile(lambda word: not word.startswith("-"), following)]
    for word in given or ["VALUE"]:
        name, equals, value = word.partition("=")
        form = form_of_parameter(name, value) if equals else ""
        yield f"{option} {word}: {form}" if form else f"{option}: {_form_here(option, word)}"


def _form_here(name: str, value: str) -> str:
    """Return the form of one of the reference's options, also with our prefix; '' if unknown."""
    key = name.removeprefix(_OWN_PREFIX) if name.startswith(_OWN_PREFIX) else name[2:]
    if not name.startswith("--"):
        return ""
    if key in _PARAMETERS:
        return f"--mlps-set {_PARAMETERS[key]}={value}"
    if key in _RENAMED:
        return f"{_OWN_PREFIX}{_RENAMED[key]} {value}"
    return _OTHERS.get(key, "").format(value)


def _next_word(argument: str, arguments: Sequence[str]) -> str:
    """Return the value that follows an argument; VALUE if none does."""
    following = arguments[arguments.index(argument) + 1 :] if argument in arguments else ()
    return following[0] if following and not following[0].startswith("-") else "VALUE"


def check_hosts_are_one_word(arguments: Sequence[str], exists: Callable[[str], bool]) -> None:
    """Raise InvalidInputError for `--hosts node1 node2`: pytest takes node2 for a path of tests.

    `exists` returns whether a path exists.
    """
    for position, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag not in (HOSTS_OPTION, "--hosts"):
            continue
        words = [value] if equals else []
        for word in arguments[position + 1 :]:
            if word.startswith("-"):
                break
            words.append(word)
        strays = [word for word in words[1:] if not exists(word.partition("::")[0])]
        if strays:
            together = ",".join(one.strip(",") for one in [words[0], *strays])
            raise InvalidInputError(
                flag,
                " ".join([words[0], *strays]),
                f"one word, as in {flag} {together}",
                hint=f"{strays[0]!r} was read as a path of tests, which does not exist",
            )
