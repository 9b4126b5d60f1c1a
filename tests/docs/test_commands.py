"""Commands, options, profiles and parameters on the pages: they exist and are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mlpstorage_bench.kvcache.config.models import Geometry
from mlpstorage_bench.kvcache.config.profile_file import Profile, load_profile
from mlpstorage_bench.kvcache.config.workload import SYNONYMS, Workload
from mlpstorage_bench.options.declared import OPTIONS
from tests.docs import pages
from tests.docs.page_commands import Command, commands, option_parser

USING = pages.PROJECT / "docs" / "using.md"
FLAGS = {option.flag for option in OPTIONS}
EXAMPLES = sorted((pages.PROJECT / "examples").glob("*.*"))


def commands_by_page() -> Iterator[tuple[str, Command]]:
    for page in (*pages.existing_pages(), *EXAMPLES):
        for command in commands(page):
            yield page.name, command


def test_pages_and_examples_have_commands() -> None:
    assert {"README.md", "using.md", "history.md", "gate.md"} <= {
        page for page, _ in commands_by_page()
    }


@pytest.mark.parametrize(
    ("page", "command"),
    [*commands_by_page()],
    ids=lambda value: value if isinstance(value, str) else " ".join(value.words)[:60],
)
def test_command_has_options_and_values_that_are_accepted(page: str, command: Command) -> None:
    _, others = option_parser().parse_known_args(command.arguments)
    assert not [word for word in others if word.startswith("--mlps-")], page


def test_options_that_a_page_names_exist() -> None:
    names = re.compile(r"--mlps-[a-z]+(?:-[a-z]+)*(?![a-z-]*[*…{])")
    unknown = {
        page: set(names.findall(page.read_text())) - FLAGS
        for page in pages.existing_pages()
        if page.name != "CHANGELOG.md"  # names what was there before
    }
    assert {page: options for page, options in unknown.items() if options} == {}


def test_profiles_on_the_page_are_accepted(tmp_path: Path) -> None:
    whole, models = re.findall(r"```yaml\n(.*?)```", USING.read_text(), re.DOTALL)
    path = tmp_path / "nightly.yaml"
    path.write_text(whole)
    assert load_profile(str(path)).workloads.keys() == {"chat", "long"}
    path.write_text(whole + models)
    assert all(isinstance(one, Geometry) for one in load_profile(str(path)).models.values())
    assert load_profile(str(path)).models.keys() == yaml.safe_load(models)["models"].keys()


def test_table_of_keys_names_keys_of_a_profile() -> None:
    _, table = USING.read_text().split("| key | meaning |\n", 1)
    rows = table.split("\n\n", 1)[0].splitlines()[1:]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert named
    assert named <= {*Workload.model_fields, *Profile.model_fields, *SYNONYMS}
