"""Files of `--mlps-export FORMAT:FILE`: their check before a run, and their writing after it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.export import exposition, tables
from mlpstorage_bench.paths import OutputFile, is_directory, starts_with
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.results.tree import write_named

EXPORT_OPTION = "--mlps-export"


@dataclass(frozen=True)
class _Format:
    """A format: how a run is written in it, and how a file in it begins."""

    text: Callable[[RunMetadata], str]
    beginning: str
    needs: str = ""
    """Module of an extra that it needs."""


_FORMATS: Mapping[str, _Format] = {
    "prometheus": _Format(
        exposition.prometheus_text, exposition.BEGINNING, needs="prometheus_client"
    ),
    "openmetrics": _Format(
        exposition.openmetrics_text, exposition.BEGINNING, needs="prometheus_client"
    ),
    "json": _Format(tables.json_of, tables.JSON_BEGINNING),
    "csv": _Format(tables.csv_text, tables.CSV_BEGINNING),
}
FORMATS = tuple(_FORMATS)
"""Names of the formats."""


@dataclass(frozen=True)
class Export:
    """A file to which figures are exported."""

    format: str
    path: Path

    def as_output(self) -> OutputFile:
        """Return the file for the check of outputs against inputs."""
        is_own = starts_with(_FORMATS[self.format].beginning.encode())
        return OutputFile(EXPORT_OPTION, self.path, is_own, is_replaced=True)


def parse_exports(values: Sequence[str]) -> tuple[Export, ...]:
    """Return the files of the option; InvalidInputError for unusable ones."""
    exports: dict[Path, Export] = {}
    for value in values:
        export = _parse(value)
        other = exports.setdefault(export.path, export)
        if other.format != export.format:
            raise InvalidInputError(
                EXPORT_OPTION, value, f"another file: {other.format} is written to this one"
            )
    return tuple(exports.values())


def _parse(value: str) -> Export:
    name, _, file = value.partition(":")
    accepted = f"FORMAT:FILE, with a format of {', '.join(_FORMATS)}"
    if name not in _FORMATS or not file:
        raise InvalidInputError(EXPORT_OPTION, value, accepted, hint=nearest(name, _FORMATS))
    path = Path(file).absolute()
    if not is_directory(EXPORT_OPTION, path.parent):
        raise InvalidInputError(EXPORT_OPTION, value, "a file in a directory that exists")
    return Export(name, path)


def check_format(export: Export) -> None:
    """Raise InvalidInputError if the format cannot be written here."""
    needed = _FORMATS[export.format].needs
    if needed and importlib.util.find_spec(needed) is None:
        raise InvalidInputError(
            EXPORT_OPTION,
            f"{export.format}:{export.path}",
            f"json or csv, as {needed} is not installed",
            hint="For the others: pip install 'mlpstorage-bench[export]'",
        )


def write_export(export: Export, metadata: RunMetadata) -> Path:
    """Write a run's figures, atomically; InvalidInputError on failure."""
    return write_named(EXPORT_OPTION, export.path, _FORMATS[export.format].text(metadata))
