"""The parameters, and the plan that they make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlpstorage_bench.own_types import (
    NO_PAUSES,
    CaseSize,
    HostCapacity,
    InputFile,
    InvalidInputError,
    Json,
    OutputFile,
    Pauses,
    PlanRequest,
    SizeReport,
    load_flat,
)

MIB = 1 << 20
CASE = "copy"
PROFILES = {"quick": "files: 4\nfile_mib: 1\n"}


class Parameters(BaseModel):
    """Keys of a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "plain"
    """Name under which the run is filed."""
    files: int = Field(4, ge=1, le=1000)
    """Files of each lane."""
    file_mib: int = Field(1, ge=1, le=1024)
    lanes: int = Field(2, ge=1, le=64)
    io_chunk_kib: int = Field(1024, ge=4, le=1024)
    seed: int = 1
    trials: int = Field(1, ge=1, le=100)

    @property
    def rank_bytes(self) -> int:
        """Bytes that each rank stores."""
        return self.lanes * self.files * self.file_mib * MIB


@dataclass(frozen=True)
class CopyPlan:
    """One case: the parameters of the profile, with the user's changes."""

    request: PlanRequest
    copied: Parameters
    cases: tuple[str, ...] = (CASE,)
    comparable: bool = False
    pauses: Pauses = NO_PAUSES
    gate_rules: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: PlanRequest) -> CopyPlan:
        """Return the plan for the user's options; InvalidInputError if it cannot run."""
        if request.mode == "closed":
            raise InvalidInputError("--mlps-mode", "closed", "open: copy_files has no rules")
        options = {"seed": request.seed, "trials": request.trials}
        given = {name: value for name, value in options.items() if value is not None}
        copied = load_flat(Parameters, PROFILES, request.profile, request.overrides, options=given)
        return cls(request, copied)

    def changed(self, parameters: Mapping[str, object]) -> Parameters:
        """Return the parameters of a test; the user's settings take precedence."""
        user_set = {key for key, _ in self.request.overrides}
        own = {key: value for key, value in parameters.items() if key not in user_set}
        try:
            return Parameters.model_validate({**self.copied.model_dump(), **own})
        except ValidationError as error:
            problem = error.errors()[0]
            source = f"copy_files.run: {problem['loc'][0]}"
            raise InvalidInputError(source, problem["input"], problem["msg"]) from error

    @property
    def model(self) -> str:
        """The name under which the run is filed."""
        return self.copied.model

    @property
    def seed(self) -> int:
        """The seed from which each rank derives its own."""
        return self.copied.seed

    def schedule(self, cases: Sequence[str]) -> str:  # noqa: ARG002 - there are no pauses
        """Return '': there are no pauses."""
        return ""

    def input_files(self) -> list[InputFile]:
        """Return no file: none is read."""
        return []

    def output_files(
        self,
        rank: int,  # noqa: ARG002 - of no rank
        ranks: int,  # noqa: ARG002
        most_trials: Callable[[int], int],  # noqa: ARG002
    ) -> list[OutputFile]:
        """Return no file: none is written beside the results."""
        return []

    def notes(self) -> list[str]:
        """Return no note."""
        return []

    def parameters(self) -> Json:
        """Return the effective parameters."""
        return {"profile": self.request.profile, **self.copied.model_dump()}

    def override_parameters(self) -> Json:
        """Return the parameters that the user set."""
        return dict(self.request.overrides)

    def arguments(self) -> Json:
        """Return nothing: there is no reference whose arguments these are."""
        return {}

    def request_stream_sha256(self, rank: int, ranks: int) -> str:
        """Return the hash of a rank's requests."""
        text = f"{rank} of {ranks}: {self.copied.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def datasize(self, ranks_by_host: Sequence[int], capacity: HostCapacity) -> SizeReport:
        """Return whether the files fit."""
        needed = self.copied.rank_bytes * capacity.sharers
        is_known = capacity.storage is not None
        fits = not is_known or needed <= (capacity.storage or 0)
        problems = [] if fits else [f"files of {needed} bytes do not fit"]
        return SizeReport(
            self.request.profile,
            self.seed,
            str(self.request.cache_dir),
            ranks_by_host,
            capacity.storage,
            capacity.memory,
            capacity.limits,
            [CaseSize(CASE, problems)],
        )

    def describe(self) -> list[str]:
        """Return a description of the case, for the terminal."""
        copied = self.copied
        return [f"{CASE}: {copied.lanes} lanes of {copied.files} files of {copied.file_mib} MiB"]
