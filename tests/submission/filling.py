"""A person's part of a submission: the draft of a description, filled in."""

from __future__ import annotations

import re

from mlpstorage_bench.validation.system_description import NOT_FILLED

VALUES = {
    "storage_location": "remote",
    "product_API": "file",
    "client_footprint": "open_source",
    "client_installation": "in_box",
    "multi_host": "true",
    "simultaneous_write": "true",
    "simultaneous_read": "true",
    "remap_time_in_seconds": "0",
    "usable_capacity_tib": "100",
    "availability": "available",
    "deployment": "onprem",
    "quantity": "1",
    "total_rack_units": "2",
    "rack_units": "2",
    "cpu_qty": "2",
    "cpu_cores": "32",
    "memory_capacity": "64",
    "unit_count": "2",
    "min_psus_active": "1",
    "inlet_voltage": "230",
    "nameplate_power_watts": "1600",
    "efficiency": "Platinum",
    "type": "ethernet",
    "state": "up",
    "speed": "100",
    "traffic": "[data]",
    "interface": "nvme",
    "media_type": "TLC",
    "capacity_in_GB": "7680",
}
_LINE = re.compile(rf"^([ #-]*)(\w+): {NOT_FILLED}", re.MULTILINE)


def filled(draft: str) -> str:
    """Return a draft without marks."""
    return _LINE.sub(lambda line: f"{line[1]}{line[2]}: {VALUES.get(line[2], 'A text')}", draft)
