"""Sentences on what the results of a run say about the storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.measure.ceiling import HARNESS
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.training.results.load_share import LoadShare
from mlpstorage_bench.training.workload.models import MODELS, TrainingModel
from mlpstorage_bench.trial.host_limit import has_short_processors, short_processors

_CACHED = 0.5
"""Share of the bytes from the page cache above which figures are not the storage's."""
_NOTEWORTHY_CACHED = 0.01
"""Share of the bytes from the page cache above which it is named beside the storage."""
_PERCENT = 100.0
_NOT_KNOWN = {
    "not calibrated": "this host's own limit was not measured",
    "unknown": "the kernel does not tell what the readers waited for",
}
"""Limit that is no component → the reason why it is not known."""


def conclusions(cases: Sequence[CaseRecord]) -> list[str]:
    """Return a sentence on each training that has figures."""
    return [
        sentence
        for case in cases
        if case.metrics is not None
        for sentence in _of(case, case.metrics)
    ]


def _of(case: CaseRecord, metrics: Values) -> Iterator[str]:
    name, model = case.case, MODELS.get(str(case.parameters.get("model")))
    utilization = number_of(metrics.get("au_percentage"))
    if utilization is None or model is None:
        return
    found = _Found(case.parameters, metrics, model, utilization)
    cached = found.cached
    least_named = _NOTEWORTHY_CACHED if found.is_enough else _CACHED
    if cached > least_named and case.parameters.get("io_mode") == "buffered":
        said = found.of_a_part_or_this_host or f"{found.busy} ({found.demand})."
        yield (
            f"Training {name} read through the page cache{_reason(case.parameters)}, which had "
            f"{cached:.0%} of the bytes, and the storage the rest. {said[0].upper()}{said[1:]}"
        )
    elif cached > _CACHED:
        yield (
            f"Do not take the figures of training {name} for those of the storage: the page cache "
            "had most of the bytes."
        )
    else:
        said = found.of_a_part_or_this_host or found.of_the_storage
        yield f"Training {name}: {said}"


def _reason(parameters: Json) -> str:
    """Return why reads went through the page cache."""
    if parameters.get("reader") == "torch":
        return ", as PyTorch's loader does (reader=torch)"
    data_format = parameters.get("format", "raw")
    if data_format == "raw":
        return " (io_mode=buffered)"
    return f", as the library of format={data_format} does"


@dataclass(frozen=True)
class _Found:
    """Figures of one training, and what they say."""

    parameters: Json
    metrics: Values
    model: TrainingModel
    utilization: float

    def _share(self, name: str) -> float:
        return number_of(self.metrics.get(name)) or 0.0

    @property
    def cached(self) -> float:
        return self._share("page_cache_share")

    @property
    def _demanded(self) -> float:
        return _PERCENT * self.model.least_au

    @property
    def demand(self) -> str:
        return f"{self._demanded:g} % are demanded"

    @property
    def is_enough(self) -> bool:
        return self.utilization >= self._demanded

    @property
    def _load(self) -> LoadShare:
        return LoadShare.of(self.parameters, self.model)

    @property
    def _with_load(self) -> str:
        return f" with {self._load}" if self._load.settings else ""

    @property
    def busy(self) -> str:
        return f"accelerators were busy {self.utilization:.1f} % of the time{self._with_load}"

    @property
    def of_a_part_or_this_host(self) -> str:
        """Sentence that is true wherever the data was; '' if the storage had the whole load."""
        late, waited = self._share("late_share"), self._share("data_wait_share")
        if self.is_enough:
            if not self._load.is_smaller:
                return ""
            return (
                f"{self.busy}. That does not show whether the storage keeps them busy with the "
                f"whole load, of which {self.demand}."
            )
        if late > waited:
            return (
                f"{self.busy}, and this host was the limit, not the storage: computations ended "
                f"late by {late:.1%} of the time, and waited for data {waited:.1%}. Use fewer "
                "ranks on a host, or more hosts."
            )
        if self.metrics.get("limited_by") == HARNESS:
            if has_short_processors(self.metrics):
                return f"{self.busy} ({self.demand}). {short_processors([self.metrics])}"
            return f"{self.busy}, and this host was the limit, not the storage{self._of_harness}"
        return ""

    @property
    def _of_harness(self) -> str:
        """Work that took this host's time, if a library reads, and the next step."""
        data_format = self.parameters.get("format", "raw")
        worked, waited = self._share("harness_time_share"), self._share("storage_wait_share")
        if data_format == "raw" or worked <= waited:
            return ". Use more hosts, or larger samples."
        return (
            f": its work, such as decoding {data_format} and checking it, took {worked:.0%} of the "
            f"readers' time, and waits for the storage {waited:.0%}. Use more hosts, or "
            "format=raw, which nothing decodes."
        )

    @property
    def of_the_storage(self) -> str:
        """Sentence on reads from the storage."""
        if self.is_enough:
            helper = f" and the page cache ({self.cached:.0%} of the bytes)"
            return (
                f"the storage{helper if self.cached > _NOTEWORTHY_CACHED else ''} kept the "
                f"accelerators busy{self._with_load}, {self.utilization:.1f} % of the time "
                f"({self.demand})."
            )
        reason = _NOT_KNOWN.get(str(self.metrics.get("limited_by")))
        if reason is None:
            return (
                f"accelerators waited for the storage{self._with_load}; they were busy "
                f"{self.utilization:.1f} % of the time ({self.demand})."
            )
        is_torch = self.parameters.get("reader") == "torch"
        other = "reader=model, whose limit is measured" if is_torch else "more hosts"
        return (
            f"{self.busy} ({self.demand}). What limited them is not known: {reason}. Compare with "
            f"{other}."
        )
