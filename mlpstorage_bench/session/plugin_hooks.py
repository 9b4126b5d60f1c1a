"""Calls of users' hooks: one plugin after the other, so that none is lost by another's error."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import pytest

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal, shortened
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.progress.state import Progress
from mlpstorage_bench.redaction.text import redact_text
from mlpstorage_bench.results.json_files import copied_json
from mlpstorage_bench.session.added_metrics import USER_ERRORS, checked_metrics, guarded
from mlpstorage_bench.session.hookspec import (
    METADATA_HOOK,
    METRICS_HOOK,
    PROGRESS_HOOK,
    RESULT_HOOK,
)
from mlpstorage_bench.session.run import Run

T = TypeVar("T")
_Caller = Callable[..., Sequence[object]]


class PluginHooks:
    """The hooks of users in one session, and what went wrong in them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._silenced: set[str] = set()
        """Plugins whose hook for the progress has failed, and is not called again."""
        self.problems: list[str] = []
        """Errors of hooks, in sentences, each once."""

    def has(self, hook: str) -> bool:
        """Whether a plugin implements a hook."""
        return bool(getattr(self._config.hook, hook).get_hookimpls())

    def metrics(self, own: Sequence[AnyMetric]) -> list[AnyMetric]:
        """Return the metrics that plugins declare; InvalidInputError for one that is unusable.

        An error of a metric's formula is reported later, and leaves the metric without a value.
        """
        found: list[AnyMetric] = []
        for plugin, call in self._callers(METRICS_HOOK):
            source = f"{METRICS_HOOK} of {plugin}"
            results, problem = _attempt(call)
            if problem:
                raise InvalidInputError(source, problem, "classes that declare metrics")
            report = partial(self._note, source)
            for result in results or ():
                added = checked_metrics(source, result, [*own, *found])
                found += [guarded(metric, report) for metric in added]
        return found

    def metadata(self, run: Run) -> dict[str, Json]:
        """Return the facts that plugins add to a run's metadata, by plugin."""
        found: dict[str, Json] = {}
        for plugin, results in self._results(METADATA_HOOK, run=run):
            facts: dict[str, object] = {}
            for result in results:
                copied, problem = _attempt(partial(_json_object, result))
                if problem:
                    self._note(
                        f"{METADATA_HOOK} of {plugin}", f"returned no JSON object: {problem}"
                    )
                facts |= copied or {}
            if facts:
                found[plugin] = facts
        return found

    def progress(self, progress: Progress) -> None:
        """Show plugins the state of the run; one that fails is not called again."""
        before = len(self.problems)
        for plugin, _ in self._results(PROGRESS_HOOK, without=self._silenced, progress=progress):
            if len(self.problems) > before:
                self._silenced.add(plugin)
                before = len(self.problems)

    def result(self, run: Run, metadata: Callable[[], Mapping[str, object]]) -> list[str]:
        """Give plugins the run's metadata, and return what went wrong."""
        before = len(self.problems)
        if self.has(RESULT_HOOK):
            content = metadata()
            for _ in self._results(RESULT_HOOK, run=run, metadata=content):
                pass
        return self.problems[before:]

    def _results(
        self, hook: str, without: set[str] | None = None, **arguments: object
    ) -> Iterator[tuple[str, Sequence[object]]]:
        """Call a hook of each plugin, and yield what it returned; an error is noted."""
        for plugin, call in self._callers(hook):
            if plugin in (without or ()):
                continue
            results, problem = _attempt(partial(call, **arguments))
            if problem:
                self._note(f"{hook} of {plugin}", f"failed: {problem}")
            yield plugin, results or ()

    def _callers(self, hook: str) -> Iterator[tuple[str, _Caller]]:
        """Yield each plugin that implements a hook, and what calls its implementation alone."""
        manager = self._config.pluginmanager
        plugins = [one.plugin for one in getattr(self._config.hook, hook).get_hookimpls()]
        for plugin in reversed(plugins):  # pluggy's own order
            others = [other for other in plugins if other is not plugin]
            call = manager.subset_hook_caller(hook, others)
            yield self._name(plugin), partial(call, config=self._config)

    def _name(self, plugin: object) -> str:
        """Return a plugin's name; of a conftest, its path below the root directory."""
        name = self._config.pluginmanager.get_name(plugin) or type(plugin).__name__
        path = Path(name)
        if not path.is_absolute():
            return name
        root = self._config.rootpath
        return str(path.relative_to(root)) if path.is_relative_to(root) else path.name

    def _note(self, source: str, text: str) -> None:
        problem = for_terminal(f"{source} {text}")
        if problem not in self.problems:
            self.problems.append(problem)


def _attempt(call: Callable[[], T]) -> tuple[T | None, str]:
    """Return what a user's function returned, and '', or None and its error with its place."""
    try:
        return call(), ""
    except USER_ERRORS as error:
        text = shortened(redact_text(f"{type(error).__name__}: {error}"))
        return None, f"{text} ({_place(error)})"


def _place(error: BaseException) -> str:
    """Return file and line in which an error was raised; pytest's own functions are skipped."""
    steps = traceback.walk_tb(error.__traceback__)
    shown = [step for step in steps if not step[0].f_locals.get("__tracebackhide__")]
    frame, line = shown[-1]
    return f"{Path(frame.f_code.co_filename).name}, line {line}"


def _json_object(value: object) -> dict[str, object]:
    """Return a copy of a JSON object; TypeError or ValueError for other values."""
    if not isinstance(value, Mapping):
        raise TypeError(f"it is a {type(value).__name__}")
    return cast("dict[str, object]", copied_json(dict(value)))
