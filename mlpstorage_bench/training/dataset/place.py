"""The directory of a dataset: `<cache-dir>/<model>-<digest>/`, with the files below `train`.

The digest is that of everything that determines the files' content, so that datasets of other
sizes, seeds or formats lie beside each other. `dataset.json` says what a directory holds, and
whether all of it was made; it has checksums of itself and of the digests, so that a change of
these is not taken for one of the data. Datasets stay until the user removes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.sealed_json import CHANGED, CHECKSUM, is_sealed, sealed
from mlpstorage_bench.results.tree import replace_text
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.training.config.workload import Format, TrainingWorkload
from mlpstorage_bench.training.dataset.digests import checksum_of
from mlpstorage_bench.training.dataset.sizes import UNKNOWN
from mlpstorage_bench.training.workload.samples import Dataset

MANIFEST = "dataset.json"
DIGESTS = "digests"
SIZES = "sizes"
_DIGESTS_CHECKSUM = "digests_sha256"
TRAIN = "train"
PARTIAL = ".partial"
"""Suffix of a file that is being made."""
_VERSION = 2
"""Increase it when the same parameters make other content."""
_DIGEST_CHARACTERS = 8
_REFERENCE_SUFFIXES = {"npz": "npz", "jpeg": "jpeg", "parquet": "parquet", "raw": "raw"}


@dataclass(frozen=True)
class Contents:
    """Everything that determines a dataset's files."""

    model: str
    format: Format
    files: int
    samples_per_file: int
    scale: float
    seed: int
    chunk_bytes: int
    """Unit of the digests: files are checked chunk by chunk."""
    version: int = _VERSION

    @classmethod
    def of(cls, workload: TrainingWorkload, files: int, seed: int, chunk_bytes: int) -> Contents:
        """Return what a training of so many files needs."""
        return cls(
            workload.model,
            workload.format,
            files,
            workload.samples_per_file,
            workload.scale,
            seed,
            chunk_bytes,
        )

    @cached_property
    def digest(self) -> str:
        """Digest of all fields."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class DatasetPlace:
    """The directory of a dataset below a cache directory."""

    cache_dir: Path
    contents: Contents
    dataset: Dataset

    @property
    def directory(self) -> Path:
        """The dataset's directory."""
        digest = self.contents.digest[:_DIGEST_CHARACTERS]
        return self.cache_dir / f"{self.contents.model}-{digest}"

    @cached_property
    def train(self) -> Path:
        """Directory of the files."""
        return self.directory / TRAIN

    @property
    def digests(self) -> Path:
        """File with the digest of each chunk that is read."""
        return self.directory / DIGESTS

    @property
    def sizes(self) -> Path:
        """File with the size of each file that a library wrote."""
        return self.directory / SIZES

    @cached_property
    def _digits(self) -> int:
        return len(str(self.contents.files))

    def path(self, file: int) -> Path:
        """Return the path of a file, by its number from 0; the reference's names."""
        count, suffix = self.contents.files, _REFERENCE_SUFFIXES[self.contents.format]
        return self.train / f"img_{file:0{self._digits}d}_of_{count}.{suffix}"

    def make(self) -> None:
        """Make the directory, if it does not exist; StorageError if it is a link or another's."""
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            for path in (self.directory, self.train):
                path.mkdir(exist_ok=True)
                found = path.lstat()
                if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
                    raise StorageError(
                        "creating",
                        str(path),
                        "a link or another user's directory has this name, which is not followed",
                        hint="Remove it, or name another --mlps-cache-dir",
                    )
        except OSError as error:
            raise storage_error("creating", self.train, error) from error

    def is_begun(self) -> bool:
        """Return whether a file of this dataset may exist."""
        return self.train.exists()

    def is_complete(self) -> bool:
        """Return whether all files were made; StorageError for a directory of something else."""
        return self._described().get("complete") is True

    @property
    def digests_sha256(self) -> str | None:
        """Checksum of the file with the digests; None if all were not made, or by old versions."""
        found = self._described().get(_DIGESTS_CHECKSUM)
        return found if isinstance(found, str) else None

    def _described(self) -> dict[str, object]:
        """Return the content of the manifest; an empty one if there is none."""
        path = self.directory / MANIFEST
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise storage_error("reading", path, error) from error
        except ValueError as error:
            raise _damaged(path, f"no JSON: {error}") from error
        if isinstance(content, dict) and CHECKSUM in content and not is_sealed(content):
            raise _damaged(path, CHANGED)
        if not isinstance(content, dict) or content.get("contents") != asdict(self.contents):
            raise _damaged(path, "it describes another dataset")
        return content

    def describe(self, *, is_complete: bool) -> None:
        """Write the manifest, in place of one that may exist; the digests are written before."""
        path = self.directory / MANIFEST
        content: dict[str, object] = {"contents": asdict(self.contents), "complete": is_complete}
        try:
            if is_complete:
                content[_DIGESTS_CHECKSUM] = checksum_of(self.digests)
            replace_text(path, json_text(sealed(content)))
        except OSError as error:
            raise storage_error("writing", path, error) from error

    def has_file(self, file: int, size: int = UNKNOWN) -> bool:
        """Return whether a file was made: it exists under its final name in its full size.

        Of a file that a library wrote, that is `size`; any but 0 where it is not known.
        """
        path = self.path(file)
        try:
            found = os.stat(path).st_size  # noqa: PTH116 - a million times, and quicker
        except FileNotFoundError:
            return False
        except OSError as error:
            raise storage_error("looking for", path, error) from error
        if self.contents.format == "raw":
            return found == self.dataset.file_bytes(file)
        return found == size if size != UNKNOWN else found > 0


def _damaged(path: Path, reason: str) -> StorageError:
    return StorageError(
        "reading", str(path), reason, hint=f"Remove {path.parent}, and generate the data again"
    )
