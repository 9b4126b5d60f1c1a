"""Reader of a type's profiles: loading, overrides, and the schema, with all errors together.

A profile is a YAML file with values common to all its workloads, and the workloads themselves. Keys
are the reference's parameter names, if it has the parameter. A benchmark type says what a profile
and a workload are by two models.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.inputs.yaml_files import Document
from mlpstorage_bench.paths import check_path_component
from mlpstorage_bench.profiles.schema import Strict, canonical, with_value
from mlpstorage_bench.profiles.values import (
    PROFILE_OPTION,
    SET_OPTION,
    read_profile,
    shipped_in,
    value_of,
)

P = TypeVar("P", bound=Strict)
_WORKLOADS = "workloads"
_FIXED_KEYS = frozenset({_WORKLOADS, "name", "comparable"})
"""Keys of a profile that the command line cannot set."""


@dataclass(frozen=True)
class ProfileReader(Generic[P]):
    """Loads the profiles of one benchmark type."""

    profile: type[P]
    """Model of a profile; its field `workloads` has those by name."""
    workload: type[Strict]
    """Model of a workload."""
    package: str
    """Package whose directory `profiles` has the shipped ones."""
    workload_synonyms: Mapping[str, str] = field(default_factory=dict)
    """Another accepted name of a workload's key → its own name."""
    profile_synonyms: Mapping[str, str] = field(default_factory=dict)
    """The same of a profile's own keys."""
    derived: frozenset[str] = frozenset()
    """Fields of a workload that are no keys: `complete` sets them."""
    of_both: frozenset[str] = frozenset({"model"})
    """Keys that a profile has, and that are common values of its workloads, too."""
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    """Returns a profile's content with derived values, before it is validated."""

    @cached_property
    def _synonyms(self) -> dict[str, str]:
        return {**self.workload_synonyms, **self.profile_synonyms, "options": _WORKLOADS}

    @cached_property
    def _workload_keys(self) -> frozenset[str]:
        return frozenset(self.workload.model_fields) - self.derived

    @cached_property
    def _profile_keys(self) -> frozenset[str]:
        return frozenset(self.profile.model_fields) - self.of_both

    @cached_property
    def _text_keys(self) -> frozenset[str]:
        """Keys whose values are text: paths and titles."""
        fields = {**self.profile.model_fields, **self.workload.model_fields}
        return frozenset(n for n, one in fields.items() if one.annotation in (str, str | None))

    @cached_property
    def _written(self) -> Mapping[str | int, tuple[str, ...]]:
        """Other names of a key, by its own name."""
        synonyms = self._synonyms
        return {
            own: tuple(alias for alias, name in synonyms.items() if name == own)
            for own in synonyms.values()
        }

    @property
    def settable(self) -> frozenset[str]:
        """Keys that the command line can set, with their synonyms."""
        return (self._workload_keys | self._profile_keys | self.of_both | self._synonyms.keys()) - (
            _FIXED_KEYS
        )

    def shipped(self) -> dict[str, str]:
        """Return the profiles in the package: name → YAML text."""
        return shipped_in(self.package)

    def load(
        self,
        name: str,
        overrides: Iterable[tuple[str, str]] = (),
        *,
        seed: int | None = None,
        trials: int | None = None,
    ) -> P:
        """Load a profile by name or path, and apply the user's settings."""
        document = read_profile(self.shipped(), name)
        if not isinstance(document.content, dict):
            raise InvalidInputError(PROFILE_OPTION, name, "a YAML mapping of parameters")
        content = self._spread_common_values(name, document.content)
        profile = self._validated(content, PROFILE_OPTION, name, document)
        assignments = list(overrides)
        for key, text in assignments:
            self._override(content, key, text)
        if seed is not None:
            content["seed"] = seed
        if trials is not None:
            content["trials"] = trials
        if assignments or seed is not None or trials is not None:
            given = ", ".join(f"{key}={text}" for key, text in assignments)
            profile = self._validated(content, SET_OPTION, given)
        return profile

    def _spread_common_values(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """Copy the values common to all workloads into each workload that does not set them."""
        source = f"{PROFILE_OPTION} {name}"
        profile = canonical(source, content, self._synonyms)
        common_keys = self._workload_keys & (profile.keys() - self.of_both)
        common = {key: profile.pop(key) for key in common_keys}
        common.update({key: profile[key] for key in self.of_both & profile.keys()})
        if unknown := sorted(profile.keys() - self._profile_keys - self.of_both, key=str):
            raise self._unknown_key(source, unknown[0])
        workloads = profile.get(_WORKLOADS)
        if not isinstance(workloads, dict) or not all(
            isinstance(one, dict) for one in workloads.values()
        ):
            expected = "workloads: a mapping of names to parameters"
            raise InvalidInputError(source, workloads, expected)
        for key, workload in workloads.items():
            if derived := sorted(self.derived & workload.keys()):
                raise self._unknown_key(source, f"workloads.{key}.{derived[0]}")
        profile[_WORKLOADS] = {
            check_path_component(f"{source}: workloads", key): {
                **common,
                **canonical(f"{source}: workloads.{key}", workload, self.workload_synonyms),
            }
            for key, workload in workloads.items()
        }
        return profile

    def split_path(self, path: str) -> tuple[str | None, str]:
        """Split a dotted path into a workload's name and a key; for a common key it is None.

        The key gets its own name if the path has a synonym: `options.1.lanes` is the workload `1`
        and the key `max_concurrent_allocs`.
        """
        first, _, rest = path.partition(".")
        if rest and self._synonyms.get(first, first) == _WORKLOADS:
            workload, _, key = rest.partition(".")
            return workload, self.workload_synonyms.get(key, key)
        return None, self._synonyms.get(path, path)

    def _override(self, content: dict[str, Any], path: str, text: str) -> None:
        """Apply one KEY=VALUE to the profile, to all workloads, or one (`workloads.NAME.KEY`)."""
        workload, key = self.split_path(path)
        value = value_of(path, text, is_text=key in self._text_keys)
        workloads: dict[str, dict[str, Any]] = content[_WORKLOADS]
        if workload is not None:
            if workload not in workloads:
                raise InvalidInputError(
                    SET_OPTION,
                    f"{path}={text}",
                    f"workloads of this profile: {', '.join(workloads)}",
                    hint=nearest(workload, workloads),
                )
            if key not in self._workload_keys:
                raise self._unknown_key(SET_OPTION, path, key, self._workload_keys)
            workloads[workload][key] = value
        elif key in self._workload_keys:
            for parameters in workloads.values():
                parameters[key] = copy.deepcopy(value)
            if key in self.of_both:
                content[key] = value
        elif key in self._profile_keys - _FIXED_KEYS:
            content[key] = value
        else:
            raise self._unknown_key(SET_OPTION, path)

    def _unknown_key(
        self, source: str, key: str, name: str | None = None, known: Iterable[str] = ()
    ) -> InvalidInputError:
        names = sorted(known or self._workload_keys | self._profile_keys - _FIXED_KEYS)
        hint = nearest(key if name is None else name, [*names, *self.workload_synonyms])
        return InvalidInputError(source, key, f"one of {', '.join(names)}", hint=hint)

    def _validated(
        self,
        content: Mapping[str, Any],
        source: str,
        given: str,
        document: Document | None = None,
    ) -> P:
        try:
            return self.profile.model_validate(self.complete(content))
        except ValidationError as error:
            problems = "; ".join(self._descriptions(error, document))
            raise InvalidInputError(
                source,
                given,
                "values of the type and within the limits of their keys",
                hint=problems,
            ) from error

    def _descriptions(self, error: ValidationError, document: Document | None) -> Iterator[str]:
        """Yield each problem once: a value that is set for all workloads is wrong in each."""
        equal: dict[tuple[object, ...], list[str]] = {}
        for problem in error.errors():
            path = problem["loc"]
            of_workload = path[:1] == (_WORKLOADS,)
            key = (of_workload, path[2:] if of_workload else path, problem["msg"])
            description = self._describe(problem, document)
            equal.setdefault((*key, repr(problem["input"])), []).append(description)
        for first, *others in equal.values():
            plural = "s" * (len(others) > 1)
            more = f" (so in {len(others)} more workload{plural})" if others else ""
            yield f"{first}{more}"

    def _describe(self, problem: Mapping[str, Any], document: Document | None) -> str:
        where = ".".join(str(part) for part in problem["loc"])
        line = None if document is None else self._line_of(problem["loc"], document)
        place = where if line is None else f"line {line}, {where}"
        if problem["type"] == "extra_forbidden":
            known = [*self._workload_keys, *self._profile_keys, *self.workload_synonyms]
            return f"{place}: unknown key. {nearest(str(problem['loc'][-1]), known)}".rstrip()
        return f"{place}: {with_value(problem)}"

    def _line_of(self, path: Sequence[str | int], document: Document) -> int | None:
        """Return the line of a value under one of its names; a common value is at the top."""
        at_the_top = [path[2:]] if path[:1] == (_WORKLOADS,) else []
        for possible in (path, *at_the_top):
            names = ([part, *self._written.get(part, ())] for part in possible)
            for written in itertools.product(*names):
                line = document.lines.get(written)
                if line is not None and written:
                    return line
        return document.line_of(path)
