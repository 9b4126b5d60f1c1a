from __future__ import annotations

import pytest

from mlpstorage_bench.units import BYTES, COUNT, GIB_PER_S, SHARE, TEXT, TRUTH, Unit, unit_named


@pytest.mark.parametrize(
    ("unit", "value", "text", "longer"),
    [
        (GIB_PER_S, 1.2345, "1.23", "1.234"),
        (GIB_PER_S, 0.00456, "0.0046", "0.005"),
        (GIB_PER_S, 0.0, "0.00", "0.000"),
        (COUNT, 3, "3", "3"),
        (BYTES, 1 << 30, "1073741824", "1073741824"),
        (SHARE, 0.123, "12%", "12.3%"),
        (SHARE, 0.0004, "0.04%", "0.04%"),
        (SHARE, 1.0, "100%", "100.0%"),
        (TEXT, "ok", "ok", "ok"),
        (TRUTH, True, "True", "True"),
        (GIB_PER_S, None, "-", "-"),
    ],
)
def test_unit_formats_values(unit: Unit, value: object, text: str, longer: str) -> None:
    assert unit.text(value) == text
    assert unit.text(value, more_decimals=1) == longer


def test_unknown_unit_shows_plain_numbers() -> None:
    assert unit_named("furlongs").text(2.5) == "2.50"


def test_unit_is_found_by_its_name() -> None:
    assert unit_named("GiB/s") is GIB_PER_S
    assert unit_named("") is COUNT
