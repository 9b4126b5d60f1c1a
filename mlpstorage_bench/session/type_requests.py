"""The profile and the parameters of each benchmark type, from options that name a type or none.

`--mlps-set` and `--mlps-profile` take a type's name as prefix: `checkpointing.phase=read`. Without
a prefix, a value is for each type that has the parameter or the profile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.interface import BenchmarkType
from mlpstorage_bench.benchmark_type.members import missing_members
from mlpstorage_bench.benchmark_type.plan import Plan, PlanRequest
from mlpstorage_bench.errors import InvalidInputError, MlpsError, nearest
from mlpstorage_bench.options.parameters_of_reference import NO_SETTING, form_of_parameter
from mlpstorage_bench.options.settings import CLOSED_PROFILE, DEFAULT_PROFILE, Settings

_PROFILE_OPTION = "--mlps-profile"
_SET_OPTION = "--mlps-set"


def plan_for(settings: Settings, name: str) -> Plan:
    """Return the plan of a type; InvalidInputError if it cannot run."""
    _check_names(settings)
    request = request_for(settings, name)
    try:
        plan = registry.load(name).plan(request)
    except InvalidInputError as error:
        typed = _as_typed(settings, name, request).get((error.source, error.given))
        raise error if typed is None else error.with_given(typed) from error.__cause__
    missing = missing_members(plan, Plan)
    if missing:
        raise InvalidInputError(
            f"plan of {name}",
            type(plan).__name__,
            "a plan with the members that docs/extending.md lists",
            hint=f"It lacks {', '.join(missing)}",
        )
    return plan


def _as_typed(settings: Settings, name: str, request: PlanRequest) -> dict[tuple[str, object], str]:
    """Return values as a type names them in its errors, by option → with prefixes, as typed."""
    found: dict[tuple[str, object], str] = {}
    typed = []
    for key, text in _typed_overrides_of(settings, name):
        path = _split(key)[1]
        found[_SET_OPTION, path] = key
        found[_SET_OPTION, f"{path}={text}"] = f"{key}={text}"
        typed.append(f"{key}={text}")
    every = ", ".join(f"{path}={text}" for path, text in request.overrides)
    found[_SET_OPTION, every] = ", ".join(typed)
    for value in settings.profiles:
        if _split(value) == (name, request.profile):
            found[_PROFILE_OPTION, request.profile] = value
    return found


def _check_names(settings: Settings) -> None:
    """Raise InvalidInputError for a parameter by the reference's name, with the form here.

    Its sections are named nearly like types: where such a type has the parameter, it is meant.
    """
    for key, text in settings.overrides:
        form = "" if _split(key)[0] else form_of_parameter(key, text)
        if form:
            section, _, path = key.partition(".")
            types = [n for n in registry.names() if _knows(n, path) and nearest(section, [n])]
            hint = nearest(section, types) if form == NO_SETTING else ""
            if hint:
                form = " or ".join(f"{name}.{path}={text}" for name in types)
            raise InvalidInputError(_SET_OPTION, f"{key}={text}", form, hint=hint)


def request_for(settings: Settings, name: str) -> PlanRequest:
    """Return the request to a type: the values for it, and those that no type knows."""
    return PlanRequest(
        profile=_profile_of(settings, name),
        mode=settings.mode,
        overrides=tuple(_overrides_of(settings, name)),
        seed=settings.seed,
        trials=settings.trials,
        cache_dir=settings.cache_dir,
        user_set=settings.user_set,
    )


def settings_for(settings: Settings, name: str) -> dict[str, object]:
    """Return what the user set as it is for a type: options, its profile, and its parameters."""
    own = {key: value for key, value in settings.user_set.items() if key != "set"}
    own |= {key: True for key, value in own.items() if value == ""}  # given without a value
    if settings.profiles:
        own["profile"] = _profile_of(settings, name)
    return {**own, **dict(_overrides_of(settings, name))}


def profile_note(settings: Settings, name: str) -> str:
    """Return a note if a profile without a prefix is for other types alone; else ''.

    A session of this type alone is refused such a profile.
    """
    given = [*map(_split, settings.profiles)]
    foreign = [profile for prefix, profile in given if not prefix]
    if not foreign or any(prefix == name for prefix, _ in given) or _fitting(settings, name):
        return ""
    used, own = _profile_of(settings, name), ", ".join(_shipped(name))
    return (
        f"{name} has no profile {foreign[-1]}: it takes its default, {used}. To choose another: "
        f"{_PROFILE_OPTION}={name}.NAME, where NAME is {own}, or a file"
    )


def profile_files(settings: Settings) -> list[Path]:
    """Return the profiles that are given, as paths: files, unless they are names."""
    return [Path(_split(value)[1]) for value in settings.profiles]


def type_of_command(settings: Settings) -> str:
    """Return the benchmark type of a command that collects no tests: the one that options name.

    InvalidInputError if they name several.
    """
    named = _named(settings)
    if len(named) > 1:
        raise InvalidInputError(
            _PROFILE_OPTION, ", ".join(named), "one benchmark type for a command of this kind"
        )
    name = named[0] if named else registry.DEFAULT
    for option, given, owners in _unprefixed(settings):
        if owners and name not in owners:
            raise InvalidInputError(
                option,
                given,
                " or ".join(f"{owner}.{given}" for owner in owners),
                hint=f"This command is of one benchmark type, {registry.DEFAULT} unless a prefix "
                "names another",
            )
    return name


def _unprefixed(settings: Settings) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield option, value and the types that know it, of each value without a prefix."""
    for key, text in settings.overrides:
        if not _split(key)[0]:
            owners = [name for name in registry.names() if _knows(name, key)]
            yield _SET_OPTION, f"{key}={text}", owners
    for profile in settings.profiles:
        if not _split(profile)[0]:
            owners = [name for name in registry.names() if profile in _shipped(name)]
            yield _PROFILE_OPTION, profile, owners


def _named(settings: Settings) -> list[str]:
    """Return the benchmark types that prefixes name."""
    given = [*settings.profiles, *(key for key, _ in settings.overrides)]
    return [*dict.fromkeys(prefix for prefix, _ in map(_split, given) if prefix)]


def check_some_type(settings: Settings) -> str | None:
    """Return the first type that can have a plan with these settings; None where tests decide.

    Raises the error of a type that a prefix names, or of all types if they have the same one.
    Where each refuses the settings for a reason of its own, the reason that counts is that of the
    type of the tests. Called before tests are collected, when nobody knows that type.
    """
    for name in _named(settings):
        plan_for(settings, name)
    problems: dict[str, MlpsError] = {}
    for name in _candidates(settings):
        try:
            plan_for(settings, name)
        except MlpsError as error:
            problems.setdefault(str(error), error)
        else:
            return name
    first, *others = problems.values()
    if others:
        return None
    raise first


def check_used(settings: Settings, names: Sequence[str]) -> None:
    """Raise InvalidInputError for a value that several of these types would take, or none."""
    if not names:
        return
    for key, text in settings.overrides:
        prefix, path = _split(key)
        owners = [prefix] if prefix else [name for name in names if _knows(name, path)]
        unprefixed = len(owners) > 1
        if unprefixed:
            raise _several(_SET_OPTION, f"{key}={text}", owners, f"{_and(owners)} know the key")
        others = [] if prefix else [name for name in registry.names() if _knows(name, path)]
        if (prefix and prefix not in names) or (not owners and others):
            raise _unused(_SET_OPTION, f"{key}={text}", names)
    for value in settings.profiles:
        prefix, profile = _split(value)
        shipped = [name for name in registry.names() if profile in _shipped(name)]
        if prefix and prefix not in names:
            raise _unused(_PROFILE_OPTION, value, names)
        if not prefix and not shipped and len(names) > 1:
            raise _several(_PROFILE_OPTION, value, names, f"This session runs {_and(names)}")
        if not prefix and shipped and not set(shipped) & set(names):
            raise _unused(_PROFILE_OPTION, value, names)


def _several(option: str, value: str, names: Sequence[str], why: str) -> InvalidInputError:
    accepted = " or ".join(f"{name}.{value}" for name in names)
    return InvalidInputError(option, value, accepted, hint=f"{why}: name the type")


def _and(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _unused(option: str, value: str, names: Sequence[str]) -> InvalidInputError:
    return InvalidInputError(
        option,
        value,
        f"values for {', '.join(names)}, the benchmark types of the collected tests",
    )


def _candidates(settings: Settings) -> Iterator[str]:
    """Yield the types that know every value without a prefix, or else the default type."""
    if not settings.profiles and not settings.overrides:
        yield registry.DEFAULT  # the type of most sessions
        yield from (name for name in registry.names() if name != registry.DEFAULT)
        return
    found = False
    for name in registry.names():
        keys = [_split(key) for key, _ in settings.overrides]
        profiles = [_split(value) for value in settings.profiles]
        shipped = {one for other in registry.names() for one in _shipped(other)}
        knows_keys = all(_knows(name, path) for prefix, path in keys if not prefix)
        knows_profiles = all(
            profile in _shipped(name) or profile not in shipped
            for prefix, profile in profiles
            if not prefix
        )
        if knows_keys and knows_profiles:
            found = True
            yield name
    if not found:
        yield registry.DEFAULT


def _overrides_of(settings: Settings, name: str) -> Iterator[tuple[str, str]]:
    """Yield keys without a prefix and values, as the type gets them."""
    for key, text in _typed_overrides_of(settings, name):
        yield _split(key)[1], text


def _typed_overrides_of(settings: Settings, name: str) -> Iterator[tuple[str, str]]:
    """Yield keys and values that are for a type, as the user typed them."""
    for key, text in settings.overrides:
        prefix, path = _split(key)
        is_known_to_others = any(_knows(other, path) for other in registry.names())
        if prefix == name or (not prefix and (_knows(name, path) or not is_known_to_others)):
            yield key, text


def _profile_of(settings: Settings, name: str) -> str:
    """Return the last profile that names the type, or else the last one that it can have."""
    own = [profile for prefix, profile in map(_split, settings.profiles) if prefix == name]
    default = CLOSED_PROFILE if settings.mode == "closed" else DEFAULT_PROFILE
    return [default, *_fitting(settings, name), *own][-1]


def _fitting(settings: Settings, name: str) -> list[str]:
    """Return the profiles without a prefix that a type can have."""
    shipped = {one for other in registry.names() for one in _shipped(other)}
    return [
        profile
        for prefix, profile in map(_split, settings.profiles)
        if not prefix and (profile in _shipped(name) or profile not in shipped)
    ]


def _split(value: str) -> tuple[str, str]:
    """Split a value into the type that it names, or '', and the rest."""
    prefix, dot, rest = value.partition(".")
    return (prefix, rest) if dot and rest and prefix in registry.names() else ("", value)


def _knows(name: str, path: str) -> bool:
    names = _type(name).parameter_names
    return any(part in names for part in path.split("."))


def _shipped(name: str) -> Sequence[str]:
    return _type(name).profile_names


def _type(name: str) -> BenchmarkType:
    return registry.load(name)
