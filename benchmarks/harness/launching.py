"""Words of a command that start ranks on this host."""

from __future__ import annotations

import os

from mlpstorage_bench.launch.launchers.installed import find_binary


def launcher(ranks: int) -> list[str]:
    """Return the words that start the ranks; none for one."""
    if ranks == 1:
        return []
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    options = ["-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    return [find_binary(None), *options, *as_root]
