"""Golden results: files of a small simulated run, without facts of the machine.

`python -m tests.golden.make` writes those of the current schema version; with PYTHONPATH set to a
checkout of an earlier commit, those of that commit's version. Files of a former version are never
made again: they stand for files that exist.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent
HOST = os.uname().nodename
TEST = "def test_workload(kvcache): kvcache.run('1')\n"
OPTIONS = (
    *("--mlps-set=storage=null", "--mlps-set=duration=2", "--mlps-set=write_limit_gb=20"),
    "--mlps-set=think_time_scale=0.5",
    *("--mlps-set=entry_scale=0.001", "--mlps-trials=2", "--mlps-tag=golden"),
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "--benchmark-json=own.json"),
)
_STRIPPED: dict[str, Any] = {
    "machine_info": {"node": "host"},
    "system_info": None,
    "system_info_at_end": None,
    "cluster_snapshots": None,
    "hosts": ["host"],
    "host": "host",
    "systemname": "system",
    "process_id": 1,
    "peak_rss_bytes": 100_000_000,
    "invocation": None,
    "code_image": "md5-tree-v2:" + "0" * 32,
    "executed_command": "pytest",
    "system_fingerprint": "5" * 32,
    "system_fingerprint_parts": {"ranks": 1},
}
"""Key → what stands in its place."""


def run(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metadata of a run, and pytest-benchmark's JSON."""
    (folder / "test_golden.py").write_text(TEST)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLPERF_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *OPTIONS]
    subprocess.run(command, cwd=folder, env=environ, check=True)
    (metadata,) = (folder / "results").rglob("*_metadata.json")
    return json.loads(metadata.read_text()), json.loads((folder / "own.json").read_text())


def stripped(value: Any, folder: str) -> Any:
    """Return JSON without facts of the machine, and without its paths and name."""
    if isinstance(value, dict):
        return {name: _in_its_place(name, inner, folder) for name, inner in value.items()}
    if isinstance(value, list):
        return [stripped(inner, folder) for inner in value]
    if isinstance(value, str):
        return re.sub(rf"\b{re.escape(HOST)}\b", "host", value.replace(folder, "/run"))
    return value


def _in_its_place(name: str, value: Any, folder: str) -> Any:
    is_description = name == "peak_rss_bytes" and isinstance(value, dict)
    if name in _STRIPPED and not is_description:
        return _STRIPPED[name]
    return stripped(value, folder)


def main() -> None:
    """Write the golden files of the version that is imported."""
    with tempfile.TemporaryDirectory() as folder:
        metadata, document = (stripped(one, folder) for one in run(Path(folder)))
    target = GOLDEN / f"schema_{metadata['mlpstorage']['schema_version']}"
    target.mkdir(exist_ok=True)
    for name, content in (("metadata", metadata), ("pytest_benchmark", document)):
        (target / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
