"""Start of the collected tests: scenarios, timers, and the runs that they need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.resume import RESUME_VARIABLE
from mlpstorage_bench.session import rank_checks, timers
from mlpstorage_bench.session.activation import SCENARIO, SLO
from mlpstorage_bench.session.continued_session import ContinuedSession, continued_session
from mlpstorage_bench.session.pytest_internals.benchmark_plugin import has_benchmark_plugin
from mlpstorage_bench.session.pytest_internals.other_plugins import is_worker
from mlpstorage_bench.session.run_opening import open_run
from mlpstorage_bench.session.session import MlpsSession


def begin(session: MlpsSession, items: list[pytest.Item]) -> None:
    """Prepare the collected tests: skip scenarios, set timers, and open the runs that they need."""
    _check_objectives(session, items)
    _put_in_order(session, items)
    _skip_scenarios(session, items)
    if session.settings.makes_data:
        _skip_types_without_data(items)
    timed = [item for item in items if "benchmark" in fixtures_of(item)]
    ours = [item for item in timed if registry.types_of_fixtures(fixtures_of(item))]
    others = [item for item in timed if not registry.types_of_fixtures(fixtures_of(item))]
    timers.use_timer(ours, session.clock.measured_seconds)
    if others and session.comm.size > 1:
        timers.use_timer(others, timers.collective_timer(session.comm), warmup=False)
    if not is_worker(session.config):  # there, the fixtures of a run fail, with the reason
        _open_runs(session, items)


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """Return the names of the fixtures that a test uses."""
    return getattr(item, "fixturenames", ())


def types_of(items: Sequence[pytest.Item]) -> list[str]:
    """Return the benchmark types whose fixtures tests use."""
    return registry.types_of_fixtures({name for item in items for name in fixtures_of(item)})


def _put_in_order(session: MlpsSession, items: list[pytest.Item]) -> None:
    """Put the tests of a type whose cases follow from each other into the order of its plan.

    They keep the places that they have together: other plugins shuffle tests.
    """
    for name in types_of(items):
        if not registry.load(name).has_ordered_cases:
            continue
        order = {case: number for number, case in enumerate(session.plan(name).cases)}
        places = [at for at, item in enumerate(items) if _case_of(item, name) in order]
        ordered = sorted(
            (items[at] for at in places), key=lambda item: order[_case_of(item, name) or ""]
        )
        for at, item in zip(places, ordered, strict=True):
            items[at] = item


def _case_of(item: pytest.Item, name: str) -> str | None:
    """Return the case of a type's plan for which a test is parametrized; None without one."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for argument, kind in registry.case_arguments(fixtures_of(item)).items():
        if argument in parameters and kind == name:
            return str(parameters[argument])
    return None


def _check_objectives(session: MlpsSession, items: Sequence[pytest.Item]) -> None:
    """Raise a usage error for a test with an objective that no benchmark type of it judges.

    A mark of a whole module or class may be beside tests without a benchmark type.
    """
    for item in items:
        names = registry.types_of_fixtures(fixtures_of(item))
        marked = [node for node, _ in item.iter_markers_with_node(SLO)]
        if not marked or not (names or item in marked):
            continue
        if any(registry.load(name).has_objectives for name in names):
            continue
        judging = [name for name in registry.names() if registry.load(name).has_objectives]
        fixtures = ", ".join(registry.entry(name).fixture for name in judging)
        error = InvalidInputError(
            f"@pytest.mark.{SLO}",
            item.nodeid,
            f"tests with the fixture {fixtures}",
            hint=_COMPARE_INSTEAD if names else f"{_NO_FIXTURE}: {fixtures}",
        )
        raise rank_checks.usage_error(str(error), is_root=session.is_root)


_COMPARE_INSTEAD = (
    "Compare a figure of the result in the test instead, as in `assert result.read_gib_s > 1`, or "
    "give the gate a rule with a limit"
)
_NO_FIXTURE = (
    "This test measures nothing, so that nothing can miss the objective. Remove the mark, or name "
    "the fixture in the test's arguments or in usefixtures"
)


def _skip_scenarios(session: MlpsSession, items: Sequence[pytest.Item]) -> None:
    """Skip workloads beside the profile's own where its results are to be compared."""
    for item in items:
        if item.get_closest_marker(SCENARIO) is None:
            continue
        for name in registry.types_of_fixtures(fixtures_of(item)):
            if session.plan(name).comparable:
                profile = session.settings.profile
                reason = f"profile {profile} is its workloads alone, to be compared"
                item.add_marker(pytest.mark.skip(reason=reason))


def _skip_types_without_data(items: Sequence[pytest.Item]) -> None:
    """Skip tests of benchmark types that read no data of an earlier session."""
    for item in items:
        for name in registry.types_of_fixtures(fixtures_of(item)):
            if not registry.entry(name).has_data:
                reason = f"--mlps-datagen: {name} reads no data that is made before"
                item.add_marker(pytest.mark.skip(reason=reason))


def _cases_of(items: Sequence[pytest.Item], name: str) -> list[str]:
    """Return the cases of a type's plan for which tests are parametrized."""
    found = (_case_of(item, name) for item in items)
    return [*dict.fromkeys(case for case in found if case is not None)]


def _open_runs(session: MlpsSession, items: Sequence[pytest.Item]) -> None:
    """Open the runs that tests need, one for each benchmark type: directory, metadata, engine."""
    names = types_of(items)
    if not names and not any(_RUN_FIXTURES & set(fixtures_of(item)) for item in items):
        return
    names = names or [registry.DEFAULT]
    if session.settings.makes_data:
        names = [name for name in names if registry.entry(name).has_data]
    _check_plugins(session)
    session.resources.enter_context(session.comm.handle_stop_signals())
    session.continued = continued = session.on_all_ranks(lambda: _continued(session))
    if continued is not None and continued.session_id is not None:
        session.session_id = continued.session_id
    session.session_id = session.comm.bcast(session.session_id)
    resumed = session.comm.bcast(None if continued is None else continued.benchmark_type)
    if resumed is not None and resumed in names:
        _skip_other_types(items, resumed)
        names = [resumed]
    for name in names:
        open_run(session, name, _cases_of(items, name))


_RUN_FIXTURES = frozenset({"mlps_run", "mlps_runs"})


def _skip_other_types(items: Sequence[pytest.Item], resumed: str) -> None:
    """Skip tests of other benchmark types than that of the run which is continued."""
    for item in items:
        names = registry.types_of_fixtures(fixtures_of(item))
        if names and resumed not in names:
            reason = f"the run that is continued is of {resumed}, which this test is not"
            item.add_marker(pytest.mark.skip(reason=reason))


def _continued(session: MlpsSession) -> ContinuedSession | None:
    """Return the session that this one continues, on rank 0; None for a new one."""
    continued = os.environ.get(RESUME_VARIABLE)
    if not session.is_root or not continued:
        return None
    return continued_session(Path(continued), datetime.now().astimezone())


def _check_plugins(session: MlpsSession) -> None:
    """Raise a usage error if pytest-benchmark is off."""
    if not has_benchmark_plugin(session.config):
        message = (
            "A run needs pytest-benchmark: leave out -p no:benchmark, or add "
            "-p pytest_benchmark.plugin where plugins are not loaded by themselves"
        )
        raise rank_checks.usage_error(message, is_root=session.is_root)
