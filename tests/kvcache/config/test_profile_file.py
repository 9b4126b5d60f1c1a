from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.profile_file import load_profile, shipped_profiles

TABLE = {
    "1": ("llama3.1-8b", 200, 300, 0, 0, 16, "none"),
    "2": ("llama3.1-8b", 100, 300, 0, 4, 16, "none"),
    "3": ("llama3.1-70b-instruct", 70, 300, 0, 0, 4, "none"),
}
PROFILE = """
name: nightly
model: llama3.1-8b
duration: 60
trials: 5
workloads:
  chat: {num_users: 50}
  long: {num_users: 10, model: llama3.1-70b-instruct, duration: 30}
"""


def write_profile(folder: Path, text: str = PROFILE) -> str:
    path = folder / "own.yaml"
    path.write_text(text)
    return str(path)


def test_mlperf_profile_equals_table_kvcache_1() -> None:
    profile = load_profile("mlperf")
    rows = {
        name: (
            *(o.model, o.num_users, o.duration, o.gpu_mem_gb, o.cpu_mem_gb),
            *(o.max_concurrent_allocs, o.generation_mode),
        )
        for name, o in profile.workloads.items()
    }
    assert rows == TABLE
    assert (profile.seed, profile.trials, profile.delay_between_workloads) == (42, 3, 90)
    for workload in profile.workloads.values():
        assert (workload.entry_scale, workload.think_time_scale, workload.warmup) == (1, 1, 0)
        assert (workload.write_limit_gb, workload.storage_capacity_gb) == (None, None)
        assert workload.durability == "fsync"


def test_shipped_profiles_are_quick_and_mlperf() -> None:
    assert list(shipped_profiles()) == ["mlperf", "quick"]
    assert load_profile("mlperf").comparable
    assert not load_profile("quick").comparable


def test_common_values_apply_to_workloads_that_do_not_set_them(tmp_path: Path) -> None:
    profile = load_profile(write_profile(tmp_path))
    chat, long = profile.workloads["chat"], profile.workloads["long"]
    assert (chat.model, chat.duration, long.model, long.duration) == (
        *("llama3.1-8b", 60),
        *("llama3.1-70b-instruct", 30),
    )


def test_override_applies_to_every_workload_or_one(tmp_path: Path) -> None:
    overrides = [("duration", "5"), ("workloads.chat.num_users", "7"), ("trials", "2")]
    profile = load_profile(write_profile(tmp_path), overrides)
    assert [o.duration for o in profile.workloads.values()] == [5, 5]
    assert [o.num_users for o in profile.workloads.values()] == [7, 10]
    assert profile.trials == 2


def test_values_without_override_are_unchanged() -> None:
    plain, changed = load_profile("mlperf"), load_profile("mlperf", [("duration", "5")])
    for name, workload in plain.workloads.items():
        assert changed.workloads[name] == workload.model_copy(update={"duration": 5})


def test_seed_and_trials_arguments_override_the_profile() -> None:
    profile = load_profile("quick", seed=7, trials=9)
    assert (profile.seed, profile.trials) == (7, 9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("duration: 60", "duratoin: 60", "got 'duratoin'; .*Did you mean 'duration'"),
        ("num_users: 50", "num_user: 50", "workloads.chat.num_user: unknown key. Did you mean"),
        ("num_users: 50", "num_users: '50'", "workloads.chat.num_users: .*valid integer"),
        ("num_users: 50", "num_users: 100001", "less than or equal to 100000"),
        ("duration: 60", "duration: 86401", "less than or equal to 86400"),
        ("duration: 60", "duration: .inf", "workloads.chat.duration"),
        ("model: llama3.1-8b", "model: llama3.1-8", "unknown model 'llama3.1-8'; .*Did you mean"),
        ("name: nightly", "name: ../x", "name: got '../x'"),
        ("workloads:", "choices:", "got 'choices'"),
        ("  chat:", "  ../x:", "workloads: got '../x'"),
    ],
)
def test_value_outside_the_schema_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in PROFILE
    with pytest.raises(InvalidInputError, match=message):
        load_profile(write_profile(tmp_path, PROFILE.replace(old, new, 1)))


def test_first_of_several_unknown_keys_is_named_on_every_rank(tmp_path: Path) -> None:
    """The order of a set differs between processes; that of the alphabet does not."""
    keys = "".join(f"own_{letter}: 1\n" for letter in "kjihgfedcba")
    with pytest.raises(InvalidInputError, match="got 'own_a'"):
        load_profile(write_profile(tmp_path, PROFILE + keys))


def test_all_errors_are_reported_together(tmp_path: Path) -> None:
    text = PROFILE.replace("trials: 5", "trials: many").replace("num_users: 50", "num_users: few")
    with pytest.raises(InvalidInputError) as raised:
        load_profile(write_profile(tmp_path, text))
    assert "trials: " in str(raised.value)
    assert "workloads.chat.num_users: " in str(raised.value)


def test_value_that_is_wrong_in_all_workloads_is_described_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_profile("quick", [("duration", "fast")])
    text = str(caught.value)
    assert text.count("(got 'fast')") == 1
    assert text.endswith("(got 'fast') (so in 2 more workloads)")


def test_profile_does_not_execute_code(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    text = PROFILE + f"description: !!python/object/apply:os.mkdir ['{mark}']\n"
    with pytest.raises(InvalidInputError, match=r"line 9'.*python/object.* is not accepted"):
        load_profile(write_profile(tmp_path, text))
    assert not mark.exists()


@pytest.mark.parametrize("text", ["", "- a\n", "x: [", "\x00"])
def test_file_without_a_profile_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInputError, match="--mlps-profile: got"):
        load_profile(write_profile(tmp_path, text))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        load_profile(str(tmp_path / "missing.yaml"))


PROFILE_WITH_MODELS = (
    PROFILE
    + """
models:
  ours-30b: {layers: 48, hidden_size: 6144, kv_heads: 4, head_dim: 128, dtype: float8}
  ours-mla: {layers: 10, hidden_size: 1024, kv_lora_rank: 96, qk_rope_head_dim: 32}
"""
)


def test_profile_can_define_models(tmp_path: Path) -> None:
    path = write_profile(tmp_path, PROFILE_WITH_MODELS)
    profile = load_profile(path, [("workloads.chat.model", "ours-30b"), ("kv_dtype", "null")])
    assert profile.workloads["chat"].bytes_per_token == 2 * 48 * 4 * 128
    assert profile.workloads["long"].bytes_per_token == 327_680
    latent = load_profile(path, [("model", "ours-mla"), ("kv_dtype", "float32")])
    assert latent.workloads["chat"].bytes_per_token == 10 * 128 * 4
    with pytest.raises(InvalidInputError, match="unknown model 'ours-31b'"):
        load_profile(path, [("workloads.chat.model", "ours-31b")])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([("kv_dtype", "float8")], 65_536),
        ([("tensor_parallel", "4")], 32_768),
        ([("tensor_parallel", "4"), ("kv_dtype", "float32")], 65_536),
        ([("model", "deepseek-v3"), ("tensor_parallel", "8")], 70_272),
    ],
)
def test_dtype_and_tensor_parallel_change_bytes_per_token(
    overrides: list[tuple[str, str]], expected: int
) -> None:
    assert load_profile("mlperf", overrides).workloads["1"].bytes_per_token == expected


def test_tensor_parallel_that_does_not_divide_a_token_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="tensor_parallel 3 does not divide 131072"):
        load_profile("mlperf", [("tensor_parallel", "3")])


def test_geometry_of_a_workload_is_refused(tmp_path: Path) -> None:
    text = PROFILE.replace("num_users: 50", "num_users: 50, geometry: {}")
    with pytest.raises(InvalidInputError, match=r"workloads\.chat\.geometry"):
        load_profile(write_profile(tmp_path, text))
    with pytest.raises(InvalidInputError, match="got 'geometry'"):
        load_profile("mlperf", [("geometry", "1")])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials: 5", "trials: 5\ntrials: 6", "own.yaml, line 6'.*The key 'trials' occurs twice"),
        ("  chat:", "  1: {num_users: 1}\n  '1':", "The key '1' occurs twice"),
        ("duration: 60", "on: 60", "got 'on'; accepted: one of"),
        ("num_users: 50", "num_users: few", "line 7, workloads.chat.num_users: .*got 'few'"),
        ("duration: 60", "duration: long", "line 4, workloads.chat.duration: .*got 'long'"),
        ("workloads:", "options:\n  x: {lanes: 0}", "line 7, workloads.x.max_concurrent_allocs"),
        ("trials: 5", "warmup: 1.0e+300", "warmup: .*less than or equal to 604800"),
        ("trials: 5", "delay_between_options: 1e300", "line 5, delay_between_workloads: .*604800"),
        ("trials: 5", "trace_speed: 1e-300", "trace_speed: .*greater than or equal to 0.000001"),
        ("trials: 5", "cpu_mem_gb: 1e30", "cpu_mem_gb: .*less than or equal to 1073741824"),
        ("trials: 5", f"seed: {'9' * 5000}", "line 5'.*more than 400 digits"),
        ("trials: 5", "description: &a [*a]", "more than 50 levels"),
        ("trials: 5", "trials: [" + "[" * 5000, "levels|no YAML"),
    ],
)
def test_profile_is_refused_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PROFILE
    with pytest.raises(InvalidInputError, match=f"--mlps-profile.*{message}"):
        load_profile(write_profile(tmp_path, PROFILE.replace(old, new, 1)))


def test_profile_may_have_a_mark_and_numbers_with_exponents(tmp_path: Path) -> None:
    text = PROFILE.replace("duration: 60", "duration: 1e3").replace("nightly", "on")
    profile = load_profile(write_profile(tmp_path, f"\ufeff{text}".replace("\n", "\r\n")))
    assert (profile.name, profile.workloads["chat"].duration) == ("on", 1000)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("trace_out", "/x/run #2/o.csv", "/x/run #2/o.csv"),
        ("trace_out", "/x/a: b.csv", "/x/a: b.csv"),
        ("trace_out", "[x].csv", "[x].csv"),
        ("trace_out", "007", "007"),
        ("trace_out", "'/x/y'", "/x/y"),
        ("trace_out", "null", None),
        ("title", "on", "on"),
        ("duration", "1e3", 1000.0),
        ("warmup", "010", 10.0),
        ("storage", "null", "null"),
        ("rag_document_tokens", "[10, 20]", [10, 20]),
    ],
)
def test_override_is_taken_as_typed(key: str, text: str, value: object) -> None:
    assert getattr(load_profile("quick", [(key, text)]).workloads["1"], key) == value


@pytest.mark.parametrize("text", ["[1", "{a: 1, a: 2}", "'open", "9" * 500, "!!python/name:os"])
def test_override_that_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--mlps-set: got .*accepted: a YAML value"):
        load_profile("quick", [("slos", text)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slos": "{read_blok: {p95_ms: 50}}"}, "slos.read_blok"),
        ({"slos": "{read: {p90_ms: 50}}"}, "slos.read.p90_ms"),
        ({"slos": "{write_block: {p95_ms: 50}}"}, "slos write_block needs block_mib"),
        ({"block_mib": "1", "io_chunk_kib": "2048"}, "block_mib 1 is smaller than a chunk"),
        ({"slos": "{read: {p95_ms: 50}}", "storage": "null"}, "slos read limits times on storage"),
        ({"block_mib": "0"}, "block_mib: .*greater than or equal to 1"),
    ],
)
def test_objective_that_cannot_be_measured_is_refused(
    settings: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_profile("quick", settings.items())


def test_objective_on_blocks_is_accepted_with_their_size() -> None:
    settings = {"slos": "{read_block: {p95_ms: 50}, interactive: {p99_ms: 9}}", "block_mib": "32"}
    workload = load_profile("quick", settings.items()).workloads["1"]
    assert workload.slos["read_block"].limits == {"p95_ms": 50}
    assert workload.block_mib == 32


def test_profile_that_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path, Path("/dev/zero")):
        with pytest.raises(InvalidInputError, match="no regular file"):
            load_profile(str(path))
