"""The load of a training beside that of its model: other samples, batches or computation times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.metric.values import number_of
from mlpstorage_bench.training.workload.models import TrainingModel

_PERCENT = 100.0


@dataclass(frozen=True)
class LoadShare:
    """Bytes that an accelerator asks for in a second, as a share of what the model's needs."""

    share: float
    settings: tuple[str, ...]
    """Keys that make the load another, as KEY=VALUE."""

    @classmethod
    def of(cls, parameters: Json, model: TrainingModel) -> Self:
        """Return the load of a training with these parameters.

        An accelerator whose times are not known has those that are given: only samples differ then.
        """
        accelerator = model.accelerators.get(str(parameters.get("accelerator")))
        usual = {"scale": 1.0}
        if accelerator is not None:
            usual["batch_size"] = float(accelerator.batch_size)
            usual["computation_time"] = accelerator.computation_s
        given = {name: number_of(parameters.get(name)) for name in usual}
        own = {name: usual[name] if one is None else one for name, one in given.items()}
        settings = tuple(f"{name}={own[name]:g}" for name in usual if own[name] != usual[name])
        ratios = {name: own[name] / usual[name] for name in usual}
        of_bytes = ratios["scale"] * ratios.get("batch_size", 1.0)
        of_time = ratios.get("computation_time", 1.0)
        return cls(of_bytes / of_time if of_time else math.inf, settings)

    @property
    def is_smaller(self) -> bool:
        """Whether the storage had less to do than the model's accelerators need."""
        return self.share < 1

    def __str__(self) -> str:
        """Return the share and its reason, as a part of a sentence."""
        share = f"{_PERCENT * self.share:.3g} %" if math.isfinite(self.share) else "more than 100 %"
        return f"{share} of the model's load ({', '.join(self.settings)})"
