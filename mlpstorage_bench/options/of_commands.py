"""Options of the commands that have one option each: sizes, conversion, an fio job."""

from __future__ import annotations

from mlpstorage_bench.options.option import SWITCH, Option

COMMAND_OPTIONS = (
    Option(
        "doctor",
        "Check whether a run with these options works on this machine and can be trusted (launcher "
        "and MPI library, limits, what the kernel provides, cache directory and free space), and "
        "exit: with 1 if it would not. Nothing that is written stays.",
        None,
        SWITCH,
    ),
    Option(
        "datasize",
        "Print the storage and memory that the profile needs on each rank and host, and whether "
        "this host has them, as a table or (=json) as JSON; leave the answer in the results "
        "directory as a run of the command datasize, except in mode whatif, and exit.",
        None,
        {"nargs": "?", "const": "table", "choices": ("table", "json")},
    ),
    Option(
        "convert",
        "Convert a JSON file that pytest-benchmark wrote in an earlier run to a results tree, and "
        "exit.",
        None,
        {"metavar": "FILE"},
    ),
    Option(
        "fio-job",
        "Print an fio job with the sizes and mix of a recorded trace (--mlps-set trace_out=FILE), "
        "and exit.",
        None,
        {"metavar": "TRACE"},
    ),
)
