"""The tables of docs/training.md; `python -m tests.docs.training_page --update` makes them."""

from __future__ import annotations

from mlpstorage_bench.metric.page import metrics_page
from mlpstorage_bench.training.config.profile_file import TrainingProfile
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.results.metrics.accelerators import Accelerators
from mlpstorage_bench.training.results.metrics.reads import Reads
from mlpstorage_bench.training.workload.models import MODELS
from tests.docs.made_part import MadePart, table
from tests.docs.profile_page import rows_of

_HEADER = ("key", "type", "unit", "default", "accepted", "meaning")
_OF_MODELS = (
    *("model", "files", "sample bytes", "samples per file", "accelerator", "batch"),
    *("computation s", "readers", "epochs", "least AU %"),
)


def models() -> str:
    """Return the table of models and their accelerators."""
    rows = []
    for model in MODELS.values():
        size = str(model.record_bytes)
        if model.record_stdev_bytes:
            size += f" ± {model.record_stdev_bytes}"
        for name, one in model.accelerators.items():
            rows.append(
                (
                    *(f"`{model.name}`", model.file_format, size, str(model.samples_per_file)),
                    *(f"`{name}`", str(one.batch_size), f"{one.computation_s:g}"),
                    *(str(one.read_threads), str(one.epochs), f"{100 * model.least_au:g}"),
                )
            )
    return table(_OF_MODELS, rows)


def keys() -> str:
    """Return the tables of the keys of a profile and of a training."""
    of_profile = [row for _, row in rows_of(TrainingProfile)]
    of_training = [row for _, row in rows_of(TrainingWorkload)]
    return "\n".join(
        [
            "### The whole profile\n",
            table(_HEADER, of_profile),
            "### A training\n",
            table(_HEADER, of_training),
        ]
    )


def metrics() -> str:
    """Return the tables of the metrics that trainings alone have, one level down."""
    lines = metrics_page([Accelerators, Reads]).split("\n")
    return "\n".join(f"#{line}" if line.startswith("## ") else line for line in lines)


MODULE = "tests.docs.training_page"
PARTS = (
    MadePart("docs/training.md", "models of trainings", MODULE, models),
    MadePart("docs/training.md", "keys of trainings", MODULE, keys),
    MadePart("docs/training.md", "metrics of trainings", MODULE, metrics),
)

if __name__ == "__main__":
    for part in PARTS:
        part.main()
