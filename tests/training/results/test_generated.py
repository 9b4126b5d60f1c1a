from __future__ import annotations

from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.units import GIB


def test_ranks_write_together_from_the_first_begin_to_the_last_end() -> None:
    made = Generated(2, GIB, 100.0, 4.0).merge(Generated(3, 3 * GIB, 101.0, 8.0))
    assert made == Generated(5, 4 * GIB, 100.0, 8.0)
    assert str(made) == "5 files with 4.00 GiB were made in 8 s (512 MiB/s)"


def test_rank_without_files_does_not_change_when_the_others_began() -> None:
    made = Generated(1, GIB, 100.0, 4.0)
    assert made.merge(Generated()) == Generated().merge(made) == made


def test_metadata_have_times_bytes_and_rate() -> None:
    facts = Generated(1, GIB, 1_000_000.0, 4.0).to_json()
    assert {name: facts[name] for name in ("seconds", "files", "bytes", "mib_s")} == {
        "seconds": 4.0,
        "files": 1,
        "bytes": GIB,
        "mib_s": 256.0,
    }
    assert str(facts["start_datetime"]) < str(facts["end_datetime"])
