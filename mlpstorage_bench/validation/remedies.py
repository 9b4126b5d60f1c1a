"""Next steps where a rule is violated, warned of or cannot be judged, by the rule's id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_DESCRIBE = "Correct the description in systems/<system>.yaml, and check the tree again."
_REPEAT = "Repeat the run; figures of this one are not those of the demanded workload."
_NOTHING = "Nothing: the rule demands nothing that files could show."
_COPY_LEAF = "Copy the whole run from the results directory again."
_SEPARATE = "Repeat the run with data and results on different filesystems."
_CODE = "Run the released code; no digest of it is published, so that a reviewer decides."
_STAMP = "Take the stamp that the run's own tool wrote, and do not edit it."

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        # the whole tree
        "1.1": "Nothing: no file says which program wrote the tree.",
        "2.1.1": "Rename the root to the submitter's name, with `-` for any character that is not "
        "a letter, a digit, `.`, `_` or `-`.",
        "2.1.2": "Remove what the message names from the top of the tree, or move it into a "
        "submitter's directory.",
        "2.1.3": _NOTHING,
        "2.1.6": "Make the submission with `--mlps-submission=DIR`, by the version of the program "
        "that made the run, and check DIR: images are made there, and a results directory has "
        "none. For runs of the reference, copy its `code-images/` along.",
        "2.1.27": _NOTHING,
        "CHECK-02": "Copy the image again. Published trees fail here, too, as a file was taken out "
        "of them.",
        "CHECK-03": "Remove the image that no run names, or add the run that does.",
        # each submitter
        "2.1.4": _NOTHING,
        "2.1.5": "Move other directories out of the submitter's directory.",
        "2.1.7": "Fill in the description, put `<system>.pdf` beside it, and remove other files.",
        "2.1.8": "Add `systems/<system>.yaml` for each system, or remove the empty directory.",
        "CHECK-04": "Remove `code/`: images are in `code-images/`.",
        "PROV-02": "Make the submission again, so that its manifest is of the runs that are there.",
        "RPT-01": "Make all tables anew from the same runs.",
        # each system
        "2.1.9": "Hand in runs of changed systems under a system name of their own.",
        "2.1.10": "Move other directories out of the system's directory.",
        "4.7.3": _DESCRIBE,
        "4.7.4": _DESCRIBE,
        "5.5.1": _DESCRIBE,
        "6.5.1": "Run against a mounted filesystem, and say so in the description.",
        "6.5.2": "Tell the reviewers the gateway and the mount options: no field has them.",
        "X-rate": "Correct the rates of links or drives in the description. If they are right, "
        "find out what was counted: reads may have come from memory.",
        # training
        "2.1.11": "Move other models out of training/.",
        "2.1.12": "Add the phase that is missing, or move other directories out.",
        "2.1.13": "Keep one datagen run.",
        "2.1.14": _COPY_LEAF,
        "2.1.15": _COPY_LEAF,
        "2.1.16": "Make the tables of the submission.",
        "2.1.17": "Keep 6 consecutive runs, or run again until there are 6.",
        "2.1.18": "Keep runs that followed each other, or run all 6 again without a gap.",
        "2.1.19": _COPY_LEAF,
        "2.1.20": _COPY_LEAF,
        "3.1.1": "Run datasize before datagen, and hand its leaf in.",
        "3.1.2": "Run datasize with the number of accelerators and the memory of the run.",
        "3.2.1": "Generate as many files as datasize demands, and repeat the runs.",
        "3.3.1": "Repeat the runs with the data of datasize.",
        "3.3.2": "Repeat the run with fewer accelerators, until each waits less for data.",
        "3.3.3": "Use more accelerators on the host, rather than more hosts.",
        "3.3.4": "Hand in a run of one client.",
        "3.3.5": _NOTHING,
        "3.3.6": "Repeat the run with equally many accelerators on each host.",
        "3.3.7": "Explain the difference to the reviewers, or use equal hosts.",
        "3.3.8": _NOTHING,
        "3.4.1": "Set both directories, and let them differ.",
        "3.4.2": _SEPARATE,
        "3.6.1": _CODE,
        "3.6.2": "Repeat the run without the parameters that the message names, or hand it in as "
        "open.",
        "3.6.3": "Repeat the run without the parameters that the message names.",
        # checkpointing
        "2.1.21": "Move other models out of checkpointing/.",
        "2.1.22": "Make the tables of the submission.",
        "2.1.23": "Keep one run, or one that writes and one that reads.",
        "2.1.24": "Repeat both invocations without a gap.",
        "2.1.25": _COPY_LEAF,
        "2.1.26": _COPY_LEAF,
        "4.3.1": "Show that caches were cleared between writing and reading, or write more.",
        "4.3.2": _REPEAT,
        "4.3.3": _REPEAT,
        "4.3.4": "Repeat the run with more processes, or record the accelerator that was used.",
        "4.3.5": "Repeat the run with the 8B model on 8 processes, or without the subset.",
        "4.3.6": _NOTHING,
        "4.4.1": "Set both directories, and let them differ.",
        "4.4.2": _SEPARATE,
        "4.6.1": _REPEAT,
        "4.6.2": "Repeat the run on fewer hosts, or ask the reviewers: published runs differ here.",
        "4.6.3": _REPEAT,
        "4.6.4": _REPEAT,
        "4.7.1": "Repeat both invocations, the second within 30 s. A negative time means that the "
        "hosts' clocks differ: set them.",
        "4.7.2": "Record the time for remapping in the description.",
        # vector_database
        "5.1.1": _REPEAT,
        "5.1.2": "Load and query vectors of one dimension.",
        "5.2.1": "Load all vectors, and repeat the runs.",
        "5.2.2": "Build the index that is queried, and repeat the runs.",
        "5.3.1": "Keep 5 runs, or run again until there are 5.",
        "5.3.2": "Repeat the run with a search that reaches the recall.",
        "5.3.3": "Repeat the run with more queries.",
        "5.3.4": _COPY_LEAF,
        "5.3.5": "Repeat the run with exact results over all vectors.",
        "5.4.1": "Set both directories, and let them differ.",
        "5.4.2": _SEPARATE,
        "5.6.1": _CODE,
        "5.6.2": "Repeat the run with Milvus, or hand it in as open.",
        "5.6.3": "Repeat the run with one of the three indexes.",
        "5.6.4": "Repeat the run without the parameters that the message names, or hand it in as "
        "open.",
        "5.6.5": "Repeat the run with a listed backend.",
        # kv_cache
        "6.3.1.1": "Repeat the run with `--mlps-profile=mlperf`, or hand it in as open.",
        "6.3.2.1": "Repeat the run with `--mlps-mode=closed`, which fixes the sequence.",
        "6.3.2.2": "Repeat the run without `--enable-autoscaling`.",
        "6.3.3.1": "Repeat the run with equally many ranks on each host (`--mlps-npernode`).",
        "6.3.3.2": _REPEAT,
        "6.3.3.3": "Repeat the run: two ranks that share files measure each other.",
        "6.3.3.4": "Repeat the run with a results directory that every host sees, as the "
        "reference needs it.",
        "6.3.4.1": "Copy all files of the run again. If they are complete, do not hand it in: "
        "its summary is not that of its ranks.",
        "6.3.4.2": "As for [6.3.4.1](6.3.4.1.md).",
        "6.3.4.3": "As for [6.3.4.1](6.3.4.1.md).",
        "6.3.4.4": "Repeat the run with a load that exceeds the CPU tier.",
        "6.3.4.5": "Repeat the run until every option has finished.",
        "6.4.1": "Set `--mlps-results-dir` to another filesystem than the cache directory's, and "
        "repeat the run. In mode closed, such a run is refused before it begins.",
        "6.4.2": _NOTHING,
        "6.6.1": "Repeat the run without the options that the message names, or hand it in as "
        "open.",
        "6.6.2": "Repeat the run without the options that the message names.",
        "6.6.3": "Copy the run's metadata again: it has the commands.",
        "X-preload": "Repeat the run without the library.",
        "X-fsync": "Find out whether the storage writes through. If not, repeat the run without "
        "what makes the flush do nothing.",
        "X-drain": "Say beside the figures that they hold bytes of a longer time, or repeat the "
        "run with less load.",
        "X-rank-files": "Copy the missing files from the results directory. If they are lost, "
        "repeat the run: its sums cannot be checked.",
        "X-missing-ranks": "Repeat the run: its sums are too small.",
        "X-hosts": "Repeat the run so that every host is described.",
        "X-summary-name": "Repeat the run with a tool that writes `summary.json`.",
        "X-several-runs": "Hand in one run of the system, or make sure that the reported one is "
        "the one that you mean.",
        "X-bytes": "Copy the file again. If it is as the run wrote it, do not hand the run in.",
        "X-wall": "Repeat the run. If it was resumed, tell the reviewers when and why.",
        "X-equal-trials": "Copy the trials again from the results directory: one was copied over "
        "another.",
        # every run
        "1.2": "Repeat the run without the variable, declare it, or hand the run in as open.",
        "2.29": _NOTHING,
        "LEAF-01": "Keep the metadata file that the run wrote, and no other.",
        "PROV-01": _STAMP,
        "EDN-01": _STAMP,
        "EDN-02": "Nothing: the hashes of classes are not published as data.",
        "EDN-03": "Repeat the run with an accepted DLIO, or explain the commit to the reviewers.",
        "EDN-04": "Check the tree with the release for its edition.",
    }
)
"""Id → sentences on what to do next."""
