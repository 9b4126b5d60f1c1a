"""Draft of a system's description: what a run recorded, and marks where only a person knows.

The marks are values that the schema refuses, so that a draft is never taken for a description.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.submission.commented_yaml import (
    TO_FILL,
    Block,
    Comment,
    Entry,
    Items,
    Scalar,
    to_yaml,
)
from mlpstorage_bench.submission.hardware import Drive, Hardware, Port
from mlpstorage_bench.validation.system_description import NOT_FILLED

_INTRODUCTION = f"""Description of the system {{system}}, to be handed in with its results.
Replace every {NOT_FILLED}: these facts are recorded nowhere. The others are those of {{run}};
correct them where you know better. Comments say what is accepted; a text has quotes if it contains
a colon or a number sign. Put {{system}}.pdf, a description for readers, beside this file.
Then check the whole directory: pytest --mlps-validate DIR"""
_ON_PREMISES = "on premises; remove this line in a cloud"
_POWER: Block = (
    Entry("min_psus_active", TO_FILL, "number of power supplies that have to work"),
    Entry(
        "psus_configured",
        Items(
            (
                (
                    Entry("unit_count", TO_FILL, "whole number"),
                    Entry("inlet_voltage", TO_FILL, "volts"),
                    Entry("nameplate_power_watts", TO_FILL, "watts of one"),
                    Entry(
                        "efficiency",
                        TO_FILL,
                        "Standard, Bronze, Silver, Gold, Platinum, Titanium, Ruby or Unrated",
                    ),
                ),
            )
        ),
    ),
)
_UNKNOWN = Hardware(None, None, None, (), (), None, None)
_UNKNOWN_PORT = Port(None, "", None)
_UNKNOWN_DRIVE = Drive(None, None, is_nvme=False)


def draft(system: str, run: str, hosts: Iterable[tuple[Hardware, int]]) -> str:
    """Return the draft for a system whose hosts a run recorded, as YAML."""
    clients = [_node("client", hardware, number) for hardware, number in hosts]
    if not clients:
        clients = [_node("client", _UNKNOWN, TO_FILL)]
    return to_yaml(
        (
            Comment(_INTRODUCTION.format(system=for_terminal(system), run=for_terminal(run))),
            Entry(
                "system_under_test",
                (
                    Entry("solution", _solution()),
                    Entry("deployment", TO_FILL, "onprem or cloud"),
                    Comment("the nodes of the storage; remove them if it is in the clients alone"),
                    Entry("product_nodes", Items((_product_node(),))),
                    Comment(
                        "product_switches: unit_count, vendor_name, model_name, rack_units and"
                    ),
                    Comment("power of each kind, where the storage is remote"),
                    Entry(
                        "total_rack_units",
                        TO_FILL,
                        "of nodes and switches, without clients; remove this line in a cloud",
                    ),
                    Entry("clients", Items(tuple(clients))),
                ),
            ),
        )
    )


def _solution() -> Block:
    return (
        Entry("submission_name", TO_FILL, "name of the system in tables of results"),
        Entry("friendly_description", TO_FILL, "one sentence for readers"),
        Entry(
            "architecture",
            (
                Entry("storage_location", TO_FILL, "remote, local or remote_and_local"),
                Entry("benchmark_API", "file", "how the benchmark used it: file or object"),
                Entry("product_API", TO_FILL, "how it is used otherwise: file, object or block"),
                Entry("client_footprint", TO_FILL, "open_source, closed_source or n/a"),
                Entry("client_installation", TO_FILL, "in_box, installable or n/a"),
            ),
        ),
        Entry(
            "capabilities",
            (
                Entry("multi_host", TO_FILL, "true or false: several hosts share the data"),
                Entry("simultaneous_write", TO_FILL, "true or false"),
                Entry("simultaneous_read", TO_FILL, "true or false"),
                Entry("remap_time_in_seconds", TO_FILL, "0 exactly if both of these are true"),
            ),
        ),
        Entry("usable_capacity_tib", TO_FILL, "TiB, 1 or more"),
        Entry("availability", TO_FILL, "available, preview or RDI"),
        Comment("int_client_store_tib: TiB in the clients, if they hold a part of the storage"),
    )


def _product_node() -> Block:
    return (
        Entry("friendly_description", TO_FILL, "such as: storage node"),
        Entry("quantity", TO_FILL, "number of equal nodes; add an entry for each other kind"),
        Entry("chassis", _chassis(_UNKNOWN)),
        Entry("networking", Items((_port(_UNKNOWN_PORT, TO_FILL),))),
        Entry("drives", Items((_drive(_UNKNOWN_DRIVE, TO_FILL),))),
        Entry("operating_system", _operating_system(_UNKNOWN)),
    )


def _node(description: str, hardware: Hardware, quantity: Scalar) -> Block:
    ports = [_port(port, number) for port, number in hardware.ports]
    drives = [_drive(drive, number) for drive, number in hardware.drives]
    return (
        Entry("friendly_description", description),
        Entry("quantity", quantity, "number of equal hosts"),
        Entry("chassis", _chassis(hardware)),
        Comment("ports of network cards; the run knows interfaces of the kernel"),
        Entry("networking", Items(tuple(ports) or (_port(_UNKNOWN_PORT, TO_FILL),))),
        *([Entry("drives", Items(tuple(drives)))] if drives else []),
        Entry("operating_system", _operating_system(hardware)),
    )


def _chassis(hardware: Hardware) -> Block:
    return (
        Entry("model_name", TO_FILL, "model of the server"),
        Entry("rack_units", TO_FILL, f"whole number, {_ON_PREMISES}"),
        Entry("cpu_model", _known(hardware.cpu_model)),
        Entry("cpu_qty", TO_FILL, "number of sockets in use"),
        Entry("cpu_cores", _known(hardware.cpu_cores), "physical cores of all sockets"),
        Entry(
            "memory_capacity",
            _known(hardware.memory_gib),
            "GiB; the kernel sees a little less than is installed"
            if hardware.memory_gib
            else "GiB",
        ),
        Entry("power", _POWER, "on premises; remove this block in a cloud"),
    )


def _port(port: Port, number: Scalar) -> Block:
    return (
        Entry("unit_count", number, "number of equal ports"),
        Entry("type", port.type or TO_FILL, "ethernet, infiniband or other"),
        Entry("state", _state(port), "up or down"),
        *(() if port.is_up is False else _use_of_port(port)),
    )


def _state(port: Port) -> Scalar:
    if port.is_up is None:
        return TO_FILL
    return "up" if port.is_up else "down"


def _use_of_port(port: Port) -> Iterator[Entry]:
    yield Entry("speed", _known(port.speed_gbit), "Gbit/s")
    yield Entry("traffic", TO_FILL, "a list such as [data, management]; also metadata, backend")


def _drive(drive: Drive, number: Scalar) -> Block:
    return (
        Entry("unit_count", number, "number of equal drives"),
        Entry("vendor_name", TO_FILL),
        Entry("model_name", _known(drive.model)),
        Entry("interface", "nvme" if drive.is_nvme else TO_FILL, "nvme, sas, sata or other"),
        Entry("media_type", TO_FILL, "HDD, TLC, QLC or other"),
        Entry("capacity_in_GB", _known(drive.capacity_gb), "GB, 10^9 bytes"),
    )


def _operating_system(hardware: Hardware) -> Block:
    return (
        Entry("name", _known(hardware.os_name)),
        Entry("version", _known(hardware.os_version)),
    )


def _known(value: str | float | None) -> Scalar:
    return TO_FILL if value is None else value
