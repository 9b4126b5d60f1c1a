"""Result of a rank's part of a checkpoint as JSON, and the part of it that is read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json, SequenceStep
from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.rank_checkpoint import RankCheckpoint
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.results.record import problems_of
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.trial.window_json import operations_json, series_json, window_json

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


def rank_result(
    parameters: Parameters, rank: RankCheckpoint, steps: Sequence[SequenceStep] = ()
) -> dict[str, object]:
    """Return a rank's part of a checkpoint for JSON.

    `steps` are those that the rank has taken since the checkpoint before.
    """
    return {
        "mlpstorage": {
            **window_json(rank, rank.checkpoint),
            "kind": rank.kind,
            "parameters": parameters.model_dump(mode="json"),
            "tensor_bytes": rank.tensor_bytes,
            "files": rank.files,
            "gib_s": rank.gib_s,
            "snapshot_s": rank.snapshot_s,
            "handover_s": rank.handover_s,
            "cached_pages": rank.cached_pages,
            "drop_problem": rank.drop_problem,
            "corrupt_files": rank.corrupt_files,
            "histograms": {"operations": operations_json(rank)},
            "time_series": series_json(rank.series),
            "sequence": [asdict(step) for step in steps],
        },
    }


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class RecordedPart(_Part):
    """The part of a result from which other files are made."""

    rank: _Count
    host: str
    trial: Annotated[int, Field(ge=1)]
    """Number of the checkpoint."""
    started: Annotated[str, Field(pattern=r"^\d{8}_\d{6}$")]
    """When the checkpoint began on the rank, as YYYYMMDD_HHMMSS."""
    kind: Kind
    io_mode: IoMode
    opened_at: _Seconds
    """When it began (seconds since the epoch, the host's clock)."""
    window_s: _Seconds
    tensor_bytes: _Count


class RecordedRank(_Part):
    """The result of one rank's part of a checkpoint."""

    mlpstorage: RecordedPart


def recorded_rank(source: str, content: Json) -> RecordedPart:
    """Return the result of a rank in its JSON; InvalidInputError, which names `source`, if none."""
    try:
        return RecordedRank.model_validate(content).mlpstorage
    except ValidationError as error:
        raise InvalidInputError(
            source, sorted(content), "the result of a rank", hint=problems_of(error)
        ) from error


def path_of_rank(case: CaseRecord, result: RecordedPart) -> str:
    """Return the path of a rank's result below the run's directory; trials count from 0 there."""
    name = check_path_component("case", case.case)
    folder = f"case_{name}/trial_{result.trial - 1}/rank_{result.rank}"
    return f"{folder}/checkpoint_results_{result.started}.json"
