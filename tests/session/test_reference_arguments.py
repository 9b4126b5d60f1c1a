"""`args` of the metadata: the reference's names, with values that counted and no secrets."""

from __future__ import annotations

import argparse

from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.settings import Settings, read_settings
from mlpstorage_bench.session.reference_arguments import reference_arguments
from mlpstorage_bench.session.type_requests import request_for

OF_PLAN = {"benchmark": "kvcache", "seed": 42, "trials": 3, "model": "llama3.1-8b"}


def settings(**given: object) -> Settings:
    names = {option.dest: None for option in OPTIONS}
    return read_settings(argparse.Namespace(**{**names, **given}), {})


def test_arguments_have_the_references_names_and_order() -> None:
    args = reference_arguments(settings(), (), OF_PLAN, "run", "array-9", 1, exec_type="local")
    assert list(args)[:6] == [
        *("mode", "benchmark", "command", "cache_dir", "results_dir", "systemname"),
    ]
    assert (args["mode"], args["systemname"], args["orgname"]) == ("open", "array-9", "local")
    assert (args["num_processes"], args["hosts"], args["mpi_params"]) == (None, None, None)
    assert (args["params"], args["config_file"], args["loops"]) == ("", None, 1)
    assert args["exec_type"] == "local", "no launcher started ranks"
    assert list(args)[-1] == "model"


def test_values_of_the_launch_are_words_without_secrets() -> None:
    given = settings(
        mlps_hosts=["h1:2,h2:2"],
        mlps_num_processes=4,
        mlps_mpi_params=["-x S3_SECRET_KEY=hunter2 --bind-to none"],
        mlps_set=["kv_cache.duration=5", "checkpointing.phase=read"],
    )
    own = request_for(given, "kv_cache").overrides
    args = reference_arguments(given, own, OF_PLAN, "run", "array-9", 2, exec_type="mpi")
    assert (args["hosts"], args["num_processes"]) == (["h1", "h2"], 4)
    words = args["mpi_params"]
    assert isinstance(words, list)
    assert words[-2:] == ["--bind-to", "none"]
    assert "hunter2" not in " ".join(words)
    assert args["params"] == ["duration=5"], "what is for another type is not there"
    assert args["num_client_hosts"] == 2
