"""Every registered type as a parameter, with a directory that has its smallest test."""

from __future__ import annotations

import pytest

from mlpstorage_bench import registry
from tests.types.project import Project
from tests.types.smallest import smallest


@pytest.fixture(params=registry.names(), scope="module")
def type_name(request: pytest.FixtureRequest) -> str:
    """The name of a registered type."""
    name: str = request.param
    return name


@pytest.fixture
def project(pytester: pytest.Pytester, type_name: str) -> Project:
    """A directory with the smallest test of a type, in which nothing has run."""
    return Project(pytester.path, type_name, smallest(type_name))
