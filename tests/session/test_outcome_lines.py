"""The last line of a session with the gate states its outcome, also where it has several runs."""

from __future__ import annotations

from dataclasses import replace

from mlpstorage_bench.session.outcome_lines import RunOutcome, outcome_lines

KV = RunOutcome("kv_cache, llama3.1-8b", "15 passed", is_failure=False)
WRITES = RunOutcome(
    "checkpointing, llama3-8b",
    "regressed: write write_gib_s 40 % less bandwidth",
    is_failure=True,
)


def test_only_run_has_one_line() -> None:
    assert outcome_lines([KV]) == [("gate passed: 15 passed", False)]
    assert outcome_lines([]) == []


def test_failure_of_any_run_begins_the_last_line() -> None:
    for outcomes in ([KV, WRITES], [WRITES, KV]):
        *of_runs, last = outcome_lines(outcomes)
        assert of_runs == [(f"{one.name}: {one.line}", one.is_failure) for one in outcomes]
        why = "regressed: write write_gib_s 40 % less bandwidth"
        named = f"checkpointing, llama3-8b: {why}; passed: kv_cache, llama3.1-8b"
        assert last == (f"gate FAILED: {named}", True)


def test_runs_that_pass_are_named_with_a_warning_of_any() -> None:
    other = replace(KV, name="training, unet3d")
    names = "kv_cache, llama3.1-8b; training, unet3d"
    assert outcome_lines([KV, other])[-1] == (f"gate passed: {names}", False)
    warned = replace(other, has_warning=True)
    assert outcome_lines([KV, warned])[-1] == (f"gate passed with a warning: {names}", False)
