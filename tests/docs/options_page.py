"""The tables of docs/options.md; `python -m tests.docs.options_page --update` writes them again."""

from __future__ import annotations

import re

from mlpstorage_bench.options.declared import GROUPS
from mlpstorage_bench.options.ini_settings import INI_SETTINGS, IniSetting
from mlpstorage_bench.options.option import Option
from tests.docs.made_part import MadePart, table

_OPTION_IN_TEXT = re.compile(r"(?<![\w`-])--[a-z][\w-]*(?:='[^']*'|=[^\s,;:).]+)?")


def options() -> str:
    """Return a section with a table for each group of options."""
    return "\n".join(
        f"## {title}\n\n{table(('option', 'value', 'meaning'), [_row(one) for one in group])}"
        for title, group in GROUPS.items()
    )


def settings() -> str:
    """Return the table of the settings of the ini-file."""
    rows = [(f"`{one.name}`", _default(one), _sentence(one.help)) for one in INI_SETTINGS]
    return table(("setting", "default", "meaning"), rows)


def _row(option: Option) -> tuple[str, str, str]:
    name = f"`{option.flag}`"
    if option.reference_name is not None:
        name += f" (or `--{option.reference_name}`)"
    return name, _value(option), _sentence(option.help)


def _value(option: Option) -> str:
    choices = option.keywords.get("choices")
    if choices is not None:
        value = ", ".join(f"`{choice}`" for choice in choices)
    else:
        metavar = option.keywords.get("metavar")
        value = f"`{metavar}`" if metavar else ""
    is_optional = option.keywords.get("nargs") == "?"
    return f"{value}, or none" if is_optional else value


def _default(setting: IniSetting) -> str:
    return "" if setting.default is None else f"`{str(setting.default).lower()}`"


def _sentence(text: str) -> str:
    """Return a help text as Markdown: options in it are code."""
    plain = text.replace("%%", "%").replace("*", "\\*").replace("<", "&lt;")
    marked = _OPTION_IN_TEXT.sub(lambda found: f"`{found[0]}`", plain)
    return marked if marked.endswith(".") else f"{marked}."


MODULE = "tests.docs.options_page"
OPTIONS = MadePart("docs/options.md", "options", MODULE, options)
SETTINGS = MadePart("docs/options.md", "settings", MODULE, settings)

if __name__ == "__main__":
    OPTIONS.main()
    SETTINGS.main()
