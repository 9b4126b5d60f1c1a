"""The tables of docs/checkpointing.md; `python -m tests.docs.checkpointing_page --update`."""

from __future__ import annotations

from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.config.profile_file import Profile
from mlpstorage_bench.checkpointing.model.shapes import MODELS
from mlpstorage_bench.checkpointing.model.shares import bytes_of_rank, checkpoint_bytes
from mlpstorage_bench.checkpointing.results.metrics.checkpoints import Checkpoints
from mlpstorage_bench.checkpointing.results.metrics.latencies import Latencies
from mlpstorage_bench.checkpointing.results.metrics.ranks import Ranks
from mlpstorage_bench.metric.page import metrics_page
from mlpstorage_bench.units import GIB
from tests.docs.made_part import MadePart, table
from tests.docs.profile_page import rows_of

_HEADER = ("key", "type", "unit", "default", "accepted", "meaning")
_OF_MODELS = (
    *("model", "parameters", "checkpoint GiB", "ranks (closed)", "tensor x pipeline x data"),
    *("ZeRO stage", "share of the first rank GiB", "by the reference's datasize GiB"),
)


def models() -> str:
    """Return the table of models, with their sizes and shares."""
    rows = []
    for model in MODELS.values():
        parallelism, whole = model.parallelism, checkpoint_bytes(model)
        division = (parallelism.tensor, parallelism.pipeline, parallelism.instances(model.ranks))
        rows.append(
            (
                *(f"`{model.name}`", f"{whole // 14:,}".replace(",", " ")),
                *(f"{whole / GIB:.2f}", str(model.ranks), " x ".join(map(str, division))),
                str(parallelism.zero_stage),
                f"{bytes_of_rank(model, 0, model.ranks) / GIB:.2f}",
                str(model.datasize_model_gib + model.datasize_optimiser_gib),
            )
        )
    return table(_OF_MODELS, rows)


def keys() -> str:
    """Return the table of the keys of a profile."""
    own = dict(rows_of(Profile))
    of_parameters = [row for _, row in rows_of(Parameters)]
    others = [row for name, row in own.items() if name not in Parameters.model_fields]
    return table(_HEADER, [*others, *of_parameters])


def metrics() -> str:
    """Return the tables of the metrics that checkpoints alone have, one level down."""
    lines = metrics_page([Checkpoints, Latencies, Ranks]).split("\n")
    return "\n".join(f"#{line}" if line.startswith("## ") else line for line in lines)


MODULE = "tests.docs.checkpointing_page"
PARTS = (
    MadePart("docs/checkpointing.md", "models of checkpoints", MODULE, models),
    MadePart("docs/checkpointing.md", "keys of checkpoints", MODULE, keys),
    MadePart("docs/checkpointing.md", "metrics of checkpoints", MODULE, metrics),
)

if __name__ == "__main__":
    for part in PARTS:
        part.main()
