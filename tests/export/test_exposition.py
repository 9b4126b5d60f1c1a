from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as families

from mlpstorage_bench.export.base_units import base_unit, exposed_name
from mlpstorage_bench.export.exposition import openmetrics_text, prometheus_text
from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.results.run_metadata import RunMetadata, metadata_of
from mlpstorage_bench.units import COUNT, GIB, unit_named
from tests.export.exported import OBJECTIVES, whole_run
from tests.past_runs import run as past_run


@pytest.fixture(scope="module")
def run() -> RunMetadata:
    return whole_run()


def openmetrics_families(text: str) -> Iterable[Metric]:
    parse: Callable[[str], Iterable[Metric]] = openmetrics_parser.text_string_to_metric_families
    return parse(text)


def by_name(found: Iterable[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in found}


def test_units_are_base_units_and_names_end_with_them(run: RunMetadata) -> None:
    found = by_name(families(prometheus_text(run)))
    seen = {
        name: found[name].samples[0].value
        for name in (
            "mlpstorage_read_bytes_per_second",
            "mlpstorage_read_min_bytes_per_second",
            "mlpstorage_read_p95_seconds",
            "mlpstorage_storage_wait_ratio",
            "mlpstorage_requests",
            "mlpstorage_cpu_seconds_per_byte",
        )
    }
    assert list(seen.values()) == [2 * GIB, 2 * GIB, 0.002, 2, 2, 2 / GIB]


def test_labels_name_run_case_metric_and_hosts(run: RunMetadata) -> None:
    (sample,) = by_name(families(prometheus_text(run)))["mlpstorage_read_p95_seconds"].samples
    assert sample.labels == {
        "run": run.own.run_id,
        "benchmark": "kv_cache",
        "model": "llama3.1-8b",
        "mode": "open",
        "system": "array",
        "hosts": "h1,h2",
        "case": "1",
        "metric": "read_p95_ms",
        "unit": "seconds",
    }


def test_help_is_that_of_the_declaration_and_a_text_is_a_label(run: RunMetadata) -> None:
    found = by_name(families(prometheus_text(run)))
    bandwidth = found["mlpstorage_read_bytes_per_second"]
    assert bandwidth.type == "gauge"
    assert bandwidth.documentation.startswith("Bandwidth of reads from storage")
    (limited,) = found["mlpstorage_limited_by_info"].samples
    assert (limited.labels["value"], limited.value) == ("storage", 1)


def test_every_metric_has_a_name_of_its_own(run: RunMetadata) -> None:
    described = [one for one in descriptions_of(run).values() if one.unit.kind != "record"]
    assert len({exposed_name(one) for one in described}) == len(described)


def test_every_unit_of_numbers_has_a_base_unit(run: RunMetadata) -> None:
    units = [one.unit for one in descriptions_of(run).values() if one.unit.is_number]
    assert [unit.name for unit in units if unit != COUNT and not base_unit(unit).name] == []


def test_objective_has_its_limit_what_was_measured_and_whether_it_was_met(
    run: RunMetadata,
) -> None:
    found = by_name(families(prometheus_text(run)))
    names = ("limit_seconds", "measured_seconds", "samples", "met")
    values = {
        sample.labels["percentile"]: [
            found[f"mlpstorage_objective_{name}"].samples[number].value for name in names
        ]
        for number, sample in enumerate(found["mlpstorage_objective_met"].samples)
    }
    assert values == {"p95": [0.05, 0.041, 870, 1], "p99": [0.06, 0.075, 870, 0]}


def test_openmetrics_has_the_time_of_the_run_s_end(run: RunMetadata) -> None:
    found = by_name(openmetrics_families(openmetrics_text(run)))
    (sample,) = found["mlpstorage_read_p95_seconds"].samples
    assert str(sample.timestamp) == "1793534700.000000000"
    assert (
        by_name(families(prometheus_text(run)))["mlpstorage_run_passed"].samples[0].timestamp
        is None
    )


def test_name_and_text_of_users_stay_within_their_line() -> None:
    hostile = 'a"b\\c\nmlpstorage_forged 1\x1b[2J'
    run = whole_run(
        metrics={"recorded": {"my.own-figure": 3.0, "wörter": hostile}}, systemname=hostile
    )
    found = by_name(families(prometheus_text(run)))
    assert {name for name in found if "run_" not in name and "objective" not in name} == {
        "mlpstorage_my_own_figure",
        "mlpstorage_w_rter_info",
    }
    (sample,) = found["mlpstorage_my_own_figure"].samples
    assert sample.labels["system"] == 'a"b\\c\\nmlpstorage_forged 1\\x1b[2J'
    assert sample.labels["metric"] == "my.own-figure"


def test_unit_that_is_not_known_is_a_label() -> None:
    assert exposed_name(Description("speed", "speed", unit_named("furlongs"))) == "mlpstorage_speed"


@pytest.mark.long
@pytest.mark.starts_process
@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (Debian: prometheus)")
def test_promtool_finds_nothing_to_improve(run: RunMetadata) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],  # noqa: S607 - as Debian installs it
        input=prometheus_text(run),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.long
@pytest.mark.starts_process
@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (Debian: prometheus)")
def test_prometheus_takes_openmetrics_as_history(run: RunMetadata, tmp_path: Path) -> None:
    (tmp_path / "run.om").write_text(openmetrics_text(run))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "run.om", "data"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "data" / "wal").mkdir()  # the dump asks for one
    dumped = subprocess.run(
        ["promtool", "tsdb", "dump", "data"],  # noqa: S607 - as Debian installs it
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert re.search(r'"mlpstorage_read_p95_seconds".* 0.002 1793534700000\n', dumped)


@pytest.mark.long
@pytest.mark.starts_process
@pytest.mark.skipif(
    not shutil.which("prometheus-node-exporter"), reason="needs Debian's prometheus-node-exporter"
)
def test_node_exporter_s_textfile_collector_serves_the_file(
    run: RunMetadata, tmp_path: Path
) -> None:
    (tmp_path / "run.prom").write_text(prometheus_text(run))
    command = [
        *("prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"),
        *(f"--collector.textfile.directory={tmp_path}", "--web.listen-address=127.0.0.1:0"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter:
        assert exporter.stderr is not None
        places = (
            re.search(r"Listening on.*address=(127\.0\.0\.1:\d+)", line) for line in exporter.stderr
        )
        place = next(filter(None, places))[1]
        with urllib.request.urlopen(f"http://{place}/metrics") as answer:
            served = by_name(families(answer.read().decode()))
        exporter.terminate()
    assert served["node_textfile_scrape_error"].samples[0].value == 0
    assert served["mlpstorage_read_p95_seconds"].samples[0].value == 0.002


def test_metric_of_a_user_is_no_fact_of_the_run() -> None:
    forged = {"run_passed": 0.0, "run-start.timestamp_s": 1.0, "objective_met": 0.0}
    run = whole_run(metrics={"recorded": forged})
    found = by_name(families(prometheus_text(run)))
    (passed,) = found["mlpstorage_run_passed"].samples
    assert passed.value == 1
    assert "mlpstorage_recorded_run_passed" in found
    assert all("metric" not in one.labels for one in found["mlpstorage_objective_met"].samples)


def test_many_hosts_and_long_texts_do_not_grow_each_sample() -> None:
    hosts = [f"node{number:04}" for number in range(1000)]
    run = metadata_of(past_run(1, hosts=hosts, own={"metrics": {"1": {"why": "x" * 10_000}}}))
    assert len(prometheus_text(run)) < 10_000


def test_case_and_objective_that_a_file_has_twice_are_exported_once() -> None:
    content = past_run(1, own={"metrics": {"a\x1b": {"x": 1.0}, "a\\x1b": {"x": 2.0}}})
    content["mlpstorage"]["cases"]["1"]["objectives"] = [*OBJECTIVES, *OBJECTIVES]
    found = by_name(openmetrics_families(openmetrics_text(metadata_of(content))))
    assert [sample.value for sample in found["mlpstorage_x"].samples] == [1]
    assert len(found["mlpstorage_objective_met"].samples) == len(OBJECTIVES)
