"""The studies' figures as Markdown tables: python -m benchmarks.harness.table FILE."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Print a table of the extra_info of each group of cases in a pytest-benchmark JSON file."""
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    groups: dict[str, list[dict[str, object]]] = {}
    for case in content["benchmarks"]:
        groups.setdefault(case["fullname"].partition("[")[0], []).append(case["extra_info"])
    for name, rows in groups.items():
        print(f"\n{name}\n")
        columns = list(rows[0])
        print("| " + " | ".join(columns) + " |")
        print("|" + " --- |" * len(columns))
        for row in rows:
            print("| " + " | ".join(_shown(row[column]) for column in columns) + " |")


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
