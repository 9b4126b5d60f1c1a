"""Cells of the table that a system's description gives."""

from __future__ import annotations

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.submission.columns import Cells, Link
from mlpstorage_bench.validation.system_description import NOT_FILLED
from mlpstorage_bench.validation.tree import System

_PROTOCOLS = {"file": "POSIX", "object": "S3"}


def system_cells(system: System) -> Cells:
    """Return the cells of a system; those that its description does not give are blank."""
    files = f"{system.division}/{system.organization}/systems/{system.name}"
    cells: Cells = {
        "Organization": system.organization,
        "Division": system.division.upper(),
        "Name": Link(system.name, f"{files}.yaml"),
        "Description": Link("PDF", f"{files}.pdf"),
    }
    if isinstance(system.description, Unreadable):
        return cells
    described = system.description.part("system_under_test")
    solution = described.part("solution")
    api = _text(solution, "architecture", "benchmark_API")
    return {
        **cells,
        "Type": _type(solution),
        "Access Protocol": _PROTOCOLS.get(api or ""),
        "Availability": _availability(_text(solution, "availability")),
        "RU's": described.count("total_rack_units"),
        "Integrated Client Storage (TiB)": solution.number("int_client_store_tib"),
        "Usable Capacity (TiB)": solution.number("usable_capacity_tib"),
        "Provisioned Power (W)": _power_watts(described),
    }


def _type(solution: Document) -> str | None:
    """Return how the storage is shared, where it is, and its interface."""
    location = _text(solution, "architecture", "storage_location")
    interface = _text(solution, "architecture", "product_API")
    writes = solution.flag("capabilities", "simultaneous_write")
    reads = solution.flag("capabilities", "simultaneous_read")
    if location is None or interface is None or writes is None or reads is None:
        return None
    shared = "Shared" if writes and reads else "Failover"
    return f"{shared} {location.replace('_', ' ')} {interface}"


def _availability(text: str | None) -> str | None:
    return text if text is None or text.isupper() else text.capitalize()


def _power_watts(described: Document) -> float | None:
    """Return the nameplate power of nodes and switches; None in a cloud, or if one is missing."""
    nodes = described.parts("product_nodes")
    if described.text("deployment") != "onprem" or not nodes:
        return None
    parts = [(_watts(node.part("chassis")), node.number("quantity")) for node in nodes]
    parts += [
        (_watts(switch), switch.number("unit_count"))
        for switch in described.parts("product_switches")
    ]
    known = [watts * number for watts, number in parts if watts is not None and number is not None]
    return sum(known) if len(known) == len(parts) else None


def _watts(part: Document) -> float | None:
    supplies = part.parts("power", "psus_configured")
    products = [
        watts * number
        for supply in supplies
        if (watts := supply.number("nameplate_power_watts")) is not None
        and (number := supply.number("unit_count")) is not None
    ]
    return sum(products) if products and len(products) == len(supplies) else None


def _text(document: Document, *keys: str) -> str | None:
    text = document.text(*keys)
    return None if text is None or text.strip() == NOT_FILLED else text
