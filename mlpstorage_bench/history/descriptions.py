"""Descriptions of a run's metrics: recorded in its metadata, or known of the reference's."""

from __future__ import annotations

from mlpstorage_bench.metric.declaration import Description, default_title
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import (
    GIB_PER_S,
    GIBIBYTES,
    MIB_PER_S,
    MILLISECONDS,
    PER_S,
    PERCENT,
    SAMPLES_PER_S,
    SECONDS,
    SHARE,
    Unit,
)

_OF_REFERENCE: dict[str, Unit] = {
    "train_au_mean_percentage": PERCENT,
    "train_au_stdev_percentage": PERCENT,
    "train_throughput_mean_samples_per_second": SAMPLES_PER_S,
    "train_throughput_stdev_samples_per_second": SAMPLES_PER_S,
    "train_io_mean_MB_per_second": MIB_PER_S,
    "train_io_stdev_MB_per_second": MIB_PER_S,
    "save_checkpoint_io_mean_GB_per_second": GIB_PER_S,
    "save_checkpoint_io_stdev_GB_per_second": GIB_PER_S,
    "save_checkpoint_duration_mean_seconds": SECONDS,
    "save_checkpoint_duration_stdev_seconds": SECONDS,
    "load_checkpoint_io_mean_GB_per_second": GIB_PER_S,
    "load_checkpoint_io_stdev_GB_per_second": GIB_PER_S,
    "load_checkpoint_duration_mean_seconds": SECONDS,
    "load_checkpoint_duration_stdev_seconds": SECONDS,
    "checkpoint_size_GB": GIBIBYTES,
    "throughput_qps": PER_S,
    "mean_latency_ms": MILLISECONDS,
    "p95_latency_ms": MILLISECONDS,
    "p99_latency_ms": MILLISECONDS,
    "p999_latency_ms": MILLISECONDS,
    "recall": SHARE,
    "total_time_seconds": SECONDS,
}
"""The reference's metadata has no units, and its MB and GB are MiB and GiB."""


_ENDS = {"min": "The least of the trials:", "max": "The greatest of the trials:"}


def descriptions_of(metadata: RunMetadata) -> dict[str, Description]:
    """Return the descriptions of a run's metrics by name, in the order of tables.

    The least and the greatest value over trials are metrics of their own here.
    """
    if metadata.is_of_reference and not metadata.own.metric_descriptions:
        return {
            name: Description(name, default_title(name), unit)
            for name, unit in _OF_REFERENCE.items()
        }
    described: dict[str, Description] = {}
    for name, facts in metadata.own.metric_descriptions.items():
        one = facts.description(name)
        described[name] = one
        if one.has_spread:
            for end, beginning in _ENDS.items():
                described[f"{name}_{end}"] = Description(
                    f"{name}_{end}",
                    f"{one.title} {end}",
                    one.unit,
                    meaning=f"{beginning} {one.meaning}" if one.meaning else "",
                )
    return described
