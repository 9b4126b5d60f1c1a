"""examples/mpijob.yaml has the fields of the operator's resource definition, and options that fit.

`FIELDS` has names, types and accepted words of kubeflow.org/v2beta1, and `REPLICA_FIELDS` those of
a replica; a field that is in neither is an error, as the operator's definition would drop it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpstorage_bench.launch.host_list import parse_hosts
from mlpstorage_bench.launch.hosts import lay_out
from tests.docs.page_commands import option_parser
from tests.docs.pages import PROJECT

JOB = PROJECT / "examples" / "mpijob.yaml"

FIELDS: Mapping[str, type | tuple[str, ...]] = {
    "mpiReplicaSpecs": dict,
    "mpiImplementation": ("OpenMPI", "Intel", "MPICH"),
    "slotsPerWorker": int,
    "sshAuthMountPath": str,
    "runPolicy": dict,
    "runPolicy.cleanPodPolicy": ("None", "Running", "All"),
    "runPolicy.backoffLimit": int,
    "runPolicy.ttlSecondsAfterFinished": int,
    "runPolicy.activeDeadlineSeconds": int,
    "mpiReplicaSpecs.Launcher": dict,
    "mpiReplicaSpecs.Worker": dict,
}
REPLICA_FIELDS: Mapping[str, type | tuple[str, ...]] = {
    "replicas": int,
    "restartPolicy": ("Always", "OnFailure", "Never", "ExitCode"),
    "template": dict,
}
POD_REQUIRED = {
    "containers": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("name", "mountPath"),
}
"""Lists of a pod → fields that each of their entries needs."""


def job() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(JOB.read_text())
    return loaded


def problems(
    given: Mapping[str, Any], fields: Mapping[str, type | tuple[str, ...]], above: str = ""
) -> Iterator[str]:
    """Yield fields that are unknown or have another type, at each depth that `fields` has."""
    for name, value in given.items():
        path = f"{above}{name}"
        accepted = fields.get(path)
        if accepted is None:
            yield f"{path}: unknown"
        elif isinstance(accepted, tuple):
            if value not in accepted:
                yield f"{path}: {value}"
        elif not isinstance(value, accepted):
            yield f"{path}: {value!r} is no {accepted.__name__}"
        elif isinstance(value, dict) and any(known.startswith(f"{path}.") for known in fields):
            yield from problems(value, fields, f"{path}.")


def lists_below(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of all lists of mappings, with the list's name."""
    if isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, list):
                yield from ((name, entry) for entry in value if isinstance(entry, dict))
            yield from lists_below(value)
    elif isinstance(node, list):
        for entry in node:
            yield from lists_below(entry)


def test_job_has_the_fields_of_the_resource_definition() -> None:
    document = job()
    assert (document["apiVersion"], document["kind"]) == ("kubeflow.org/v2beta1", "MPIJob")
    assert document["metadata"]["name"]
    assert [*problems(document["spec"], FIELDS)] == []
    assert document["spec"]["mpiReplicaSpecs"].keys() == {"Launcher", "Worker"}


@pytest.mark.parametrize("replica", ["Launcher", "Worker"])
def test_each_replica_has_a_pod_with_what_pods_require(replica: str) -> None:
    spec = job()["spec"]["mpiReplicaSpecs"][replica]
    assert [*problems(spec, REPLICA_FIELDS)] == []
    pod = spec["template"]["spec"]
    assert pod["containers"]
    for name, entry in lists_below(pod):
        assert set(POD_REQUIRED.get(name, ())) <= entry.keys(), (name, entry)
    volumes = {volume["name"] for volume in pod["volumes"]}
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert container["image"]


def test_fields_that_are_unknown_or_mistyped_are_found() -> None:
    broken = {"slotsPerWorker": "2", "waits": True, "runPolicy": {"cleanPodPolicy": "Some"}}
    assert [*problems(broken, FIELDS)] == [
        "slotsPerWorker: '2' is no int",
        "waits: unknown",
        "runPolicy.cleanPodPolicy: Some",
    ]


def test_launcher_runs_as_many_ranks_as_workers_have_slots() -> None:
    spec = job()["spec"]
    (container,) = spec["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"]
    options, others = option_parser().parse_known_args(container["args"])
    assert container["command"] == ["pytest"]
    assert others == ["--pyargs", "mlpstorage_bench.benchmarks"]
    assert options.mlps_npernode == spec["slotsPerWorker"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert options.mlps_cache_dir.rpartition("/")[0] in mounted
    assert options.mlps_results_dir in mounted


def test_hosts_of_the_operator_are_read(tmp_path: Path) -> None:
    spec = job()["spec"]
    workers, slots = spec["mpiReplicaSpecs"]["Worker"]["replicas"], spec["slotsPerWorker"]
    names = [f"mlpstorage-worker-{number}.mlpstorage.default.svc" for number in range(workers)]
    (tmp_path / "hostfile").write_text("".join(f"{name} slots={slots}\n" for name in names))
    hosts = parse_hosts([f"@{tmp_path / 'hostfile'}"])
    assert [host.name for host in hosts] == names
    assert lay_out(hosts, npernode=slots).ranks_by_host == (slots,) * workers
