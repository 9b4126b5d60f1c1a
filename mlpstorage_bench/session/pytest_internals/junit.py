"""junit files: those that pytest writes, and files of our own in its form."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from _pytest.junitxml import LogXML, xml_key

JunitOutcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class JunitCase:
    """A test case of a junit file that no test of pytest stands for."""

    name: str
    """A name like a node id: `where::name`."""
    outcome: JunitOutcome
    reason: str
    properties: Mapping[str, str]


def junit_path(options: argparse.Namespace) -> Path | None:
    """Return the junit file that `--junitxml` names."""
    return Path(options.xmlpath) if options.xmlpath else None


def write_junit(path: Path, suite: str, cases: Iterable[JunitCase]) -> None:
    """Write a junit file as pytest writes it for tests; OSError if that is impossible."""
    xml = LogXML(str(path), None, suite)
    xml.pytest_sessionstart()
    for case in cases:
        place = case.name.partition("::")[0]
        longrepr = (place, 0, case.reason) if case.outcome == "skipped" else case.reason
        report = pytest.TestReport(
            case.name, (place, 0, case.name), {}, case.outcome, longrepr, "call"
        )
        xml.pytest_runtest_logreport(report)
        for name, value in case.properties.items():
            xml.node_reporter(report).add_property(name, value)
    xml.pytest_sessionfinish()


def add_junit_property(config: pytest.Config, name: str, value: str) -> None:
    """Add a property of the suite to the junit XML, if one is written."""
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        xml.add_global_property(name, value)


def add_junit_case(config: pytest.Config, reports: Sequence[pytest.TestReport]) -> None:
    """Add a test case that no test ran to the junit XML, if one is written."""
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        for report in reports:
            xml.pytest_runtest_logreport(report)
