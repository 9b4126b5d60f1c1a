"""Sentences on checkpoints: time, bandwidth, standstill of training, and the limit."""

from __future__ import annotations

from mlpstorage_bench.checkpointing.results.notes import conclusions
from mlpstorage_bench.metric.values import Values

WRITTEN: Values = {
    "checkpoint_s": 2.0,
    "checkpoint_s_max": 3.0,
    "write_gib_s": 0.5,
    "standstill_s": 2.25,
    "limited_by": "storage",
}
READ: Values = {"checkpoint_s": 1.0, "checkpoint_s_max": 1.5, "read_gib_s": 1.0}


def test_writes_name_the_standstill_of_training_and_reads_have_none() -> None:
    written, read = conclusions({"write": WRITTEN, "read": READ})
    assert written == (
        "A checkpoint was written in 2.00 s (3.00 s at most), at 0.50 GiB/s; training stands still "
        "for 2.25 s (standstill_s)."
    )
    assert read == "A checkpoint was read in 1.00 s (1.50 s at most), at 1.00 GiB/s."


def test_limit_of_the_host_has_what_to_do() -> None:
    _, limit = conclusions({"small": {**WRITTEN, "limited_by": "harness"}})
    assert limit == (
        "This host was the limit when checkpoints of small were written, and not the storage: use "
        "more ranks or hosts, or a larger io_chunk_kib."
    )


def test_copy_to_memory_is_named_beside_the_time_that_excludes_it() -> None:
    figures = {**WRITTEN, "checkpoint_s": 0.35, "standstill_s": 0.43, "snapshot_s": 0.08}
    (written,) = conclusions({"write": figures})
    assert written.startswith("A checkpoint was written in 0.35 s (")
    assert written.endswith(
        "; training stands still for 0.43 s (standstill_s), with the copy to memory before that, "
        "of 0.08 s (snapshot_s)."
    )


def test_processors_that_are_short_do_not_rule_the_storage_out() -> None:
    shares = {"processor_wait_share": 0.3, "storage_wait_share": 0.43}
    _, limit = conclusions({"write": {**WRITTEN, "limited_by": "harness", **shares}})
    assert limit == (
        "Processors were short when checkpoints were written: lanes waited for one for 30% of "
        "their time, and for the storage for 43%. Whether the storage can do more is not known: "
        "run again while nothing else uses the processors, or use more hosts."
    )


def test_figures_of_memory_are_not_the_storage_s() -> None:
    (one,) = conclusions({"read": {**READ, "audit_verdict": "served from page cache"}})
    assert one.startswith("Do not take the figures of read for those of the storage")
