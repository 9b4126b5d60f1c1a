"""`python -m mlpstorage_bench.pull_request REPORT.md`: comments on the job's pull request."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.inputs.files import read_text
from mlpstorage_bench.paths import InputFile
from mlpstorage_bench.process.stdout import write_lines
from mlpstorage_bench.pull_request.comment import KEY, put_comment
from mlpstorage_bench.pull_request.surroundings import service_of

_MOST_BYTES = 8 << 20


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Post or replace the comment; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mlpstorage_bench.pull_request",
        description="Posts a Markdown report as one comment on the pull request of this job of "
        "GitHub Actions or GitLab CI, and replaces it when the job runs again.",
    )
    parser.add_argument("report", metavar="REPORT.md", type=Path)
    parser.add_argument(
        "--key",
        default="report",
        help="name of the comment, so that a pull request can have several (default: %(default)s)",
    )
    parser.add_argument("--number", type=int, help="number of the pull request, if not the job's")
    given = parser.parse_args(arguments)
    if not KEY.fullmatch(given.key):
        parser.error(f"--key: got {given.key!r}; accepted: letters, digits, '.', '_' and '-'")
    if given.number is not None and given.number < 1:
        parser.error(f"--number: got {given.number}; accepted: a number from 1")
    try:
        text = read_text(InputFile("REPORT.md", given.report, "a report in Markdown"), _MOST_BYTES)
        service = service_of(environ, given.number)
        if service is None:
            write_lines(["no pull request: nothing was posted"])
            return 0
        done = put_comment(service, given.key, text)
    except MlpsError as error:
        sys.stderr.write(f"ERROR: {for_terminal(str(error))}\n")
        return 1
    write_lines([f"comment {given.key} on {service.name}: {done}"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
