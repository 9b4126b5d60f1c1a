"""List of a rank's checkpoints that a write phase has left, for the read phase after it."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import InputFile, look_up
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.results.json_files import read_json
from mlpstorage_bench.results.record import problems_of
from mlpstorage_bench.results.sealed_json import CHANGED, is_sealed, sealed
from mlpstorage_bench.results.tree import write_json
from mlpstorage_bench.storage.store import StoredEntry

_SOURCE = "phase"
_WITHOUT_EFFECT_ON_FILES = frozenset(
    {
        *("phase", "num_checkpoints_write", "num_checkpoints_read", "time_between_checkpoints"),
        *("asynchronous", "drop_caches", "call_out", "chunks_in_flight", "lanes", "io_threads"),
        *("io_queue", "verify_rate", "fsync", "io_mode", "accelerator"),
    }
)
"""Parameters in which the phases may differ."""


class ListedFile(BaseModel):
    """A complete file of a checkpoint."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: Annotated[int, Field(ge=0)]
    identity: Annotated[int, Field(ge=0, lt=1 << 64)]
    digests: Annotated[str, Field(pattern=r"^([0-9a-f]{16})*$")]
    """Digest of each chunk, in 16 hexadecimal digits."""

    @classmethod
    def of(cls, entry: StoredEntry) -> Self:
        """Return the list's line for a stored file."""
        digests = entry.digests.tobytes().hex()
        return cls(name=entry.name, size=entry.size, identity=entry.identity, digests=digests)

    @property
    def entry(self) -> StoredEntry:
        """The stored file."""
        digests = array("Q")
        digests.frombytes(bytes.fromhex(self.digests))
        return StoredEntry(self.name, self.size, self.identity, digests)


class Manifest(BaseModel):
    """The checkpoints that a write phase has left in a rank's directory."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    parameters: Json
    """Those that the files depend on."""
    ranks: int
    seed: int
    ended_at: float
    """When the last write ended (seconds since the epoch, this host's clock)."""
    checkpoints: dict[int, list[ListedFile]]
    run_id: str | None = None
    """Name of the run that has written them; None in lists that do not say it."""

    def write(self, directory: Path) -> None:
        """Write the list into the directory, with its checksum; ResultsError on failure."""
        without = {"run_id"} if self.run_id is None else set()
        write_json(directory / MANIFEST, sealed(self.model_dump(mode="json", exclude=without)))

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Read the list of a directory; InvalidInputError if there is none."""
        path = directory / MANIFEST
        if look_up(_SOURCE, path) is None:
            raise InvalidInputError(
                _SOURCE,
                "read",
                "a directory in which a run with phase=write has left its checkpoints",
                hint=f"{path} does not exist. Use the cache directory, the hosts and the number of "
                "ranks of that run",
            )
        return cls.of_file(path)

    @classmethod
    def of_file(cls, path: Path) -> Manifest:
        """Read a list; InvalidInputError if the file is none."""
        content = read_json(InputFile(_SOURCE, path, "a list of checkpoints"))
        try:
            found = cls.model_validate(content)
        except ValidationError as error:
            raise InvalidInputError(
                _SOURCE, str(path), "a list of checkpoints", hint=problems_of(error)
            ) from error
        if not is_sealed(content):
            raise InvalidInputError(
                _SOURCE,
                str(path),
                "a list of checkpoints as the write phase has written it",
                hint=f"{CHANGED.capitalize()}. Write the checkpoints again with phase=write",
            )
        return found

    def check(self, parameters: Json, ranks: int) -> None:
        """Raise InvalidInputError unless the files are those of these parameters and ranks."""
        differing = [
            f"{name} ({self.parameters.get(name)}, not {value})"
            for name, value in parameters.items()
            if self.parameters.get(name) != value
        ]
        if ranks != self.ranks:
            differing.append(f"number of ranks ({self.ranks}, not {ranks})")
        if differing:
            raise InvalidInputError(
                _SOURCE,
                "read",
                "the parameters with which the checkpoints were written",
                hint=f"These were others: {', '.join(differing)}",
            )


def parameters_of_files(parameters: Json) -> Json:
    """Return the parameters that a checkpoint's files depend on."""
    return {
        name: value for name, value in parameters.items() if name not in _WITHOUT_EFFECT_ON_FILES
    }
