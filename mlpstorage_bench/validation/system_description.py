"""The schema of `systems/<system>.yaml`, and the demands that join several of its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from mlpstorage_bench.leaves.document import Document

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NOT_FILLED = "FILL IN"
"""Text of a field that only a person knows; the schema refuses it."""


def _filled(text: str) -> str:
    if text.strip() == NOT_FILLED:
        raise PydanticCustomError("not_filled", "a text")
    return text


Text = Annotated[str, AfterValidator(_filled)]


class _Part(BaseModel):
    # Pydantic before 2.10 warns of names that begin with model_; model_name is a published name.
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Architecture(_Part):
    storage_location: Literal["remote", "local", "remote_and_local"]
    benchmark_API: Literal["file", "object"]  # noqa: N815 - the published name
    product_API: Literal["file", "object", "block"]  # noqa: N815 - the published name
    client_footprint: Literal["open_source", "closed_source", "n/a"]
    client_installation: Literal["in_box", "installable", "n/a"]


class Capabilities(_Part):
    multi_host: bool
    simultaneous_write: bool
    simultaneous_read: bool
    remap_time_in_seconds: Annotated[float, Field(ge=0)]


class Solution(_Part):
    submission_name: Annotated[Text, Field(min_length=1)]
    friendly_description: Annotated[Text, Field(min_length=1)]
    architecture: Architecture
    capabilities: Capabilities
    usable_capacity_tib: Annotated[float, Field(ge=1)]
    availability: Literal["available", "preview", "RDI"]
    int_client_store_tib: float | None = None


class PowerSupply(_Part):
    unit_count: Count
    inlet_voltage: Positive
    nameplate_power_watts: Positive
    efficiency: Literal[
        "Standard", "Bronze", "Silver", "Gold", "Platinum", "Titanium", "Ruby", "Unrated"
    ]


class Power(_Part):
    min_psus_active: Count
    psus_configured: list[PowerSupply]


class Chassis(_Part):
    model_name: Text
    rack_units: Count | None = None
    cpu_model: Text
    cpu_qty: Count
    cpu_cores: Count
    memory_capacity: Positive
    power: Power | None = None


class NetworkPort(_Part):
    unit_count: Count
    type: Literal["ethernet", "infiniband", "other"]
    state: Literal["up", "down"]
    speed: Positive | None = None
    traffic: list[Literal["management", "data", "metadata", "backend"]] | None = None


class DrivePerformance(_Part):
    seq_read_MBps: Positive | None = None  # noqa: N815 - the published name
    seq_write_MBps: Positive | None = None  # noqa: N815 - the published name
    random_read_IOPS: Positive | None = None  # noqa: N815 - the published name
    random_write_IOPS: Positive | None = None  # noqa: N815 - the published name
    form_factor: Text | None = None
    interface_speed: Text | None = None


class Drive(_Part):
    unit_count: Count
    vendor_name: Text
    model_name: Text
    interface: Literal["nvme", "sas", "sata", "other"]
    media_type: Literal["HDD", "TLC", "QLC", "other"]
    capacity_in_GB: Positive  # noqa: N815 - the published name
    performance: DrivePerformance | None = None


class OperatingSystem(_Part):
    name: Text
    version: Text


class Setting(_Part):
    name: Text
    value: Text


class Node(_Part):
    friendly_description: Text
    quantity: Count
    chassis: Chassis
    networking: list[NetworkPort] | None = None
    drives: list[Drive] | None = None
    operating_system: OperatingSystem | None = None
    environment: list[Setting] | None = None
    sysctl: list[Setting] | None = None


class Switch(_Part):
    unit_count: Count
    vendor_name: Text
    model_name: Text
    ports: list[NetworkPort] | None = None
    configuration: list[Setting] | None = None
    rack_units: Count | None = None
    power: Power | None = None


class SystemUnderTest(_Part):
    solution: Solution
    deployment: Literal["onprem", "cloud"]
    product_nodes: list[Node] | None = None
    product_switches: list[Switch] | None = None
    total_rack_units: Count | None = None
    rack_power_supplies: list[Power] | None = None
    clients: Annotated[list[Node], Field(min_length=1)]


class _File(_Part):
    system_under_test: SystemUnderTest


def problems_of(description: Document) -> list[str]:
    """Return what a system description violates: fields first, then demands over several."""
    try:
        system = _File.model_validate(description.value).system_under_test
    except ValidationError as error:
        return [_problem(one, description) for one in error.errors(include_url=False)]
    return list(_problems(system))


def _problem(error: ErrorDetails, description: Document) -> str:
    line = description.line_of(error["loc"])
    where = ".".join(str(part) for part in error["loc"]).removeprefix("system_under_test.")
    if line is not None:
        where = f"line {line}, {where}"
    if error["input"] == NOT_FILLED:
        accepted = error["msg"].removeprefix("Input should be ").partition(", unable to ")[0]
        return f"{where}: to be filled in: {accepted}"
    return f"{where}: {error['msg']}"


def _problems(system: SystemUnderTest) -> Iterator[str]:
    yield from _capability_problems(system.solution)
    yield from _rack_problems(system) if system.deployment == "onprem" else _cloud_problems(system)
    yield from _network_problems(system)
    for power in _powers(system):
        installed = sum(supply.unit_count for supply in power.psus_configured)
        if power.min_psus_active > installed:
            yield f"min_psus_active is {power.min_psus_active} of {installed} power supplies"


def _cloud_problems(system: SystemUnderTest) -> Iterator[str]:
    nodes = [node.chassis for node in (*(system.product_nodes or []), *system.clients)]
    racked: list[Chassis | Switch] = [*nodes, *(system.product_switches or [])]
    if any(part.rack_units is not None or part.power is not None for part in racked):
        yield "a cloud deployment has rack_units or power"
    if system.total_rack_units is not None:
        yield "a cloud deployment has total_rack_units"


def _network_problems(system: SystemUnderTest) -> Iterator[str]:
    location = system.solution.architecture.storage_location
    if location == "local" and system.product_switches:
        yield "local storage has product_switches"
    for node in (*(system.product_nodes or []), *system.clients):
        if location != "local" and not node.networking:
            yield f"remote storage, and no networking of {node.friendly_description!r}"
        for port in node.networking or []:
            if port.state == "up" and (port.speed is None or not port.traffic):
                yield f"{node.friendly_description!r}: a port that is up lacks speed or traffic"


def _capability_problems(solution: Solution) -> Iterator[str]:
    capabilities, architecture = solution.capabilities, solution.architecture
    both = capabilities.simultaneous_write and capabilities.simultaneous_read
    if both != (capabilities.remap_time_in_seconds == 0):
        yield (
            "remap_time_in_seconds is 0 exactly when simultaneous_write and simultaneous_read hold"
        )
    if (architecture.client_footprint == "n/a") != (architecture.client_installation == "n/a"):
        yield "client_footprint and client_installation are n/a together"


def _rack_problems(system: SystemUnderTest) -> Iterator[str]:
    nodes, switches = system.product_nodes or [], system.product_switches or []
    if system.solution.architecture.storage_location == "remote" and not nodes:
        yield "remote storage on premises has product_nodes"
    for node in (*nodes, *system.clients):
        if node.chassis.rack_units is None or node.chassis.power is None:
            yield f"{node.friendly_description!r} lacks rack_units or power"
    for switch in switches:
        if switch.rack_units is None or switch.power is None:
            yield f"switch {switch.model_name!r} lacks rack_units or power"
    total = sum((node.chassis.rack_units or 0) * node.quantity for node in nodes)
    total += sum((switch.rack_units or 0) * switch.unit_count for switch in switches)
    if system.total_rack_units != total:
        yield f"total_rack_units is {system.total_rack_units}; nodes and switches have {total}"


def _powers(system: SystemUnderTest) -> Iterator[Power]:
    for node in (*(system.product_nodes or []), *system.clients):
        if node.chassis.power is not None:
            yield node.chassis.power
    for switch in system.product_switches or []:
        if switch.power is not None:
            yield switch.power
    yield from system.rack_power_supplies or []
