"""Parameters of the reference by their dotted names: errors name the setting here."""

from __future__ import annotations

import re

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.options.of_reference import counterparts
from mlpstorage_bench.options.parameters_of_reference import every_parameter, form_of_parameter
from mlpstorage_bench.training.results.reference_parameters import DOTTED
from mlpstorage_bench.validation import edition
from tests.options.test_reference_spelling import FLAGS

FORMS = dict(every_parameter())
OF_RULES = {*edition.TRAINING_OPEN_PARAMETERS, *edition.CHECKPOINT_CLOSED_PARAMETERS}


@pytest.mark.parametrize("name", FORMS)
def test_form_has_settings_and_options_that_exist(name: str) -> None:
    form = FORMS[name]
    assert set(re.findall(r"--mlps-[a-z-]+", form)) <= FLAGS
    for kind, key in re.findall(r"--mlps-set ([a-z]+)\.([a-z_]+)=", form):
        assert key in registry.load(kind).parameter_names
    assert form.startswith("--mlps-") or "setting" in form or "only files" in form


def test_parameters_of_rules_and_of_metadata_have_a_form() -> None:
    assert [name for name in OF_RULES if not form_of_parameter(name, "1")] == []
    for own, name in DOTTED.items():
        assert f"training.{own}=" in form_of_parameter(name, "65536")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ["--params", "reader.read_threads=4", "dataset.num_files_train=9", "-v"],
            [
                "--params reader.read_threads=4: --mlps-set training.read_threads=4",
                "--params dataset.num_files_train=9: --mlps-set training.num_files_train=9",
            ],
        ),
        (
            ["--params=reader.transfer_size=1048576"],
            [
                (
                    "--params reader.transfer_size=1048576: --mlps-set training.io_chunk_kib=1024, "
                    "in KiB"
                )
            ],
        ),
        (
            ["--params", "reader.odirect=False"],
            ["--params reader.odirect=False: --mlps-set training.io_mode=buffered"],
        ),
        (
            ["--params", "storage.storage_options.uri_scheme=s3"],
            ["--params storage.storage_options.uri_scheme=s3: only files are measured"],
        ),
        (
            ["--params", "reader.no_such=1"],
            ["--params reader.no_such=1: there is no such setting here; leave it out"],
        ),
        (["--params", "num_users=4"], ["--params: --mlps-set num_users=4"]),
        (["--params"], ["--params: --mlps-set VALUE"]),
    ],
)
def test_each_parameter_has_a_line_with_its_value(arguments: list[str], lines: list[str]) -> None:
    assert counterparts([arguments[0]], arguments, FLAGS) == lines


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("reader.read_threads=4", "--mlps-set training.read_threads=4"),
        ("workflow.train=true", "there is no such setting here; leave it out"),
    ],
)
def test_setting_by_the_name_of_the_reference_is_refused_with_ours(
    pytester: pytest.Pytester, given: str, form: str
) -> None:
    pytester.makepyfile("def test_it(training, training_workload): raise AssertionError")
    result = pytester.runpytest(f"--mlps-set={given}", "--mlps-mode=whatif")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = f"--mlps-set: got '{given}'; accepted: {form}"
    assert f"{result.stdout}{result.stderr}".count(message) == 1
