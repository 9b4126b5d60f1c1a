"""The reference's datasize: rounded sizes of a checkpoint, by which it judges a capacity.

They are not what is written: `shares` has that.
"""

from __future__ import annotations

from mlpstorage_bench.checkpointing.model.shapes import Model


def datasize_gib(model: Model, rank: int, ranks: int) -> float:
    """Return a rank's share of a checkpoint by the reference's sizes, in GiB."""
    parallelism = model.parallelism
    parallelism.instances(ranks)
    if parallelism.divides_model:
        return (model.datasize_model_gib + model.datasize_optimiser_gib) / ranks
    optimiser = model.datasize_optimiser_gib / ranks
    if rank >= parallelism.model_ranks:
        return optimiser
    return optimiser + model.datasize_model_gib / parallelism.model_ranks
