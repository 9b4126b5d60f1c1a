"""A trial in a network namespace of its own, where nothing else uses the loopback interface.

`unshare --net python -m tests.kvcache.runner.trial_in_namespace DIRECTORY` measures bindfs on
sshfs; with `--probe` it prints the counters for a directory that was mounted outside.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.trial.counter_probe import UsableCounters
from tests.network_mounts import bindfs, sshfs
from tests.trials import served


def measure(folder: Path) -> dict[str, object]:
    """Return the audits of a trial that reads through a page cache above the network."""
    with ExitStack() as mounts:
        below = mounts.enter_context(sshfs(folder, "kernel_cache"))
        shown = mounts.enter_context(bindfs(below, folder / "again"))
        trial = pool_trial(1, [served(shown, requests=8, phase="decode")])
    return {
        "audits": [trial.audit_verdict, trial.host_audit_verdict],
        "reason": trial.audit_reason,
        "read_bytes": trial.read_bytes,
        "page_cache_bytes": trial.page_cache_bytes,
    }


def probe(folder: Path) -> dict[str, object]:
    """Return the counters that a probe finds."""
    mount = UsableCounters.probe(folder, "direct").mount
    return {} if mount is None else {"is_found": mount.files is not None, "reason": mount.reason}


if __name__ == "__main__":
    subprocess.run([str(shutil.which("ip")), "link", "set", "lo", "up"], check=True)
    *options, directory = sys.argv[1:]
    found = probe(Path(directory)) if options else measure(Path(directory))
    sys.stdout.write(json.dumps(found))
