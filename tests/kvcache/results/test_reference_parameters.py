"""`parameters` of the metadata: what ran, where the reference's readers look for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.kvcache.config.profile_file import load_profile
from mlpstorage_bench.kvcache.results.reference_parameters import reference_parameters

PLAN = {
    "model": "llama3.1-8b",
    "num_users": 200,
    "duration": 300.0,
    "gpu_mem_gb": 0.0,
    "cpu_mem_gb": 0.0,
    "cache_dir": "/mnt/array",
    "generation_mode": "none",
    "performance_profile": "mlperf",
    "seed": 42,
    "trials": 3,
    "delay_between_options": 90.0,
}
SANCTIONED = [
    CaseRecord("kv_cache", name, 3, workload.model_dump(), option=int(name))
    for name, workload in load_profile("mlperf").workloads.items()
]


def changed(case: CaseRecord, **parameters: object) -> CaseRecord:
    return replace(case, parameters={**case.parameters, **parameters})


def test_sanctioned_options_have_the_seven_values_and_no_features() -> None:
    made: Any = reference_parameters(PLAN, SANCTIONED)
    assert made["options"]["1"] == {
        "model": "llama3.1-8b",
        "num_users": 200,
        "duration": 300,
        "gpu_mem_gb": 0,
        "cpu_mem_gb": 0,
        "max_concurrent_allocs": 16,
        "generation_mode": "none",
    }
    assert isinstance(made["options"]["1"]["duration"], int), "as the reference writes seconds"
    assert made["options"]["3"]["model"] == "llama3.1-70b-instruct"
    assert made["sequence"] == {
        "seed": 42,
        "trials": 3,
        "inter_option_delay_s": 90.0,
        "config": "default",
    }
    assert made["features"] == {}


def test_other_cases_are_no_options() -> None:
    scenario = replace(SANCTIONED[0], case="rag", option=None)
    assert list(reference_parameters(PLAN, [scenario])["options"]) == []  # type: ignore[call-overload]


def test_options_are_in_the_order_of_their_numbers() -> None:
    made: Any = reference_parameters(PLAN, SANCTIONED[::-1])
    assert list(made["options"]) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("cases", "features"),
    [
        ([changed(one, entry_scale=0.5) for one in SANCTIONED], {"entry_scale": 0.5}),
        (
            [changed(SANCTIONED[0], rag_share=0.1), *SANCTIONED[1:]],
            {"rag_share": {"1": 0.1}},
        ),
        ([changed(one, num_users=7) for one in SANCTIONED], {}),
    ],
    ids=["of all options", "of one option", "one of the seven values"],
)
def test_changed_parameters_are_features_and_a_custom_configuration(
    cases: list[CaseRecord], features: dict[str, object]
) -> None:
    made: Any = reference_parameters(PLAN, cases)
    assert (made["features"], made["sequence"]["config"]) == (features, "custom")


def test_another_profile_is_a_custom_configuration() -> None:
    made: Any = reference_parameters({**PLAN, "performance_profile": "quick"}, [])
    assert (made["sequence"]["config"], made["options"]) == ("custom", {})
