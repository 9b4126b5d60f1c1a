"""The metadata's `parameters` in the reference's form: what ran, by option, and in which sequence.

Its readers take the run's workload from here. All parameters are in our own part of the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.kvcache.config import mlperf
from mlpstorage_bench.kvcache.results.recorded_case import options_of

OF_RUN = (
    *("model", "num_users", "duration", "gpu_mem_gb", "cpu_mem_gb", "cache_dir"),
    *("generation_mode", "performance_profile"),
)
"""Values of the first workload; the reference repeats them at the metadata's top level."""
_OF_OPTION = (
    *("model", "num_users", "duration", "gpu_mem_gb", "cpu_mem_gb", "max_concurrent_allocs"),
    "generation_mode",
)
_OF_SEQUENCE = ("seed", "trials")
_SECONDS = "duration"
"""The reference has whole seconds without a decimal point."""


def reference_parameters(parameters: Json, cases: Sequence[CaseRecord]) -> Json:
    """Return `parameters` for a run's plan and the cases that have started."""
    options = options_of(cases)
    features = _features(options)
    is_default = parameters.get("performance_profile") == mlperf.PROFILE and not any(
        map(_differing, options)
    )
    return {
        **values_of_run(parameters),
        "options": {
            str(case.option): {name: _value(case.parameters, name) for name in _OF_OPTION}
            for case in options
        },
        "sequence": {
            "seed": parameters.get("seed"),
            "trials": parameters.get("trials"),
            "inter_option_delay_s": parameters.get("delay_between_options"),
            "config": "default" if is_default else "custom",
        },
        "features": features,
    }


def values_of_run(parameters: Json) -> Json:
    """Return the values of a run's plan that the reference has for the whole run."""
    return {name: _value(parameters, name) for name in OF_RUN}


def _value(parameters: Json, name: str) -> object:
    value = parameters.get(name)
    if name == _SECONDS and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _features(options: Sequence[CaseRecord]) -> Json:
    """Return the parameters that the reference's options do not have and that are not MLPerf's.

    One value where it is that of every option; else a value for each option that differs.
    """
    found: dict[str, dict[str, object]] = {}
    for case in options:
        for name in _differing(case):
            if name not in (*_OF_OPTION, *_OF_SEQUENCE):
                found.setdefault(name, {})[str(case.option)] = case.parameters.get(name)
    return {name: _joined(values, len(options)) for name, values in found.items()}


def _joined(values: Mapping[str, object], options: int) -> object:
    first = next(iter(values.values()))
    is_common = len(values) == options and all(value == first for value in values.values())
    return first if is_common else dict(values)


def _differing(case: CaseRecord) -> list[str]:
    return mlperf.differences(
        str(case.option), case.parameters, trials=mlperf.TRIALS, seed=mlperf.SEED
    )
