"""Names for packages that add a benchmark type; `TypeEntry` and `fixture_of` are in the package.

These are public; the modules that they come from are not. The import takes as long as that of
NumPy: only the module that a `TypeEntry` names imports this one.
"""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.benchmark_type.interface import RankSite, Standing, TypeFields
from mlpstorage_bench.benchmark_type.plan import HostCapacity, Plan, PlanRequest
from mlpstorage_bench.benchmark_type.records import NO_PAUSES, CaseRecord, Json, OpenCase, Pauses
from mlpstorage_bench.benchmark_type.sizes import CaseSize, SizeReport
from mlpstorage_bench.errors import CapacityError, InvalidInputError, MlpsError
from mlpstorage_bench.metric.declaration import AnyMetric
from mlpstorage_bench.metric.table import MetricTable
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.paths import InputFile, OutputFile, check_path_component
from mlpstorage_bench.profiles.flat import load_flat
from mlpstorage_bench.storage.directory import check_cache_dir
from mlpstorage_bench.trial.base_trial import WINDOW_GROUPS
from mlpstorage_bench.trial.base_type import BaseType
from mlpstorage_bench.trial.case_trials import CaseTrials, Pausing
from mlpstorage_bench.trial.engine import TrialEngine
from mlpstorage_bench.trial.lane_engine import LaneEngine, LaneTrials
from mlpstorage_bench.trial.lane_files import LaneFiles
from mlpstorage_bench.trial.lane_load import LaneLoad
from mlpstorage_bench.trial.lane_results import (
    LANE_RANKS,
    LaneResult,
    LaneSamples,
    LaneTrial,
)
from mlpstorage_bench.trial.rounds import Rounds, check_is_first
from mlpstorage_bench.trial.services import TestedType, TestServices

__all__ = [
    "LANE_RANKS",
    "NO_PAUSES",
    "WINDOW_GROUPS",
    "AnyMetric",
    "BaseType",
    "CapacityError",
    "CaseFigures",
    "CaseRecord",
    "CaseSize",
    "CaseTrials",
    "HostCapacity",
    "InputFile",
    "InvalidInputError",
    "Json",
    "LaneEngine",
    "LaneFiles",
    "LaneLoad",
    "LaneResult",
    "LaneSamples",
    "LaneTrial",
    "LaneTrials",
    "MetricTable",
    "MlpsError",
    "OpenCase",
    "OutputFile",
    "Pauses",
    "Pausing",
    "Plan",
    "PlanRequest",
    "RankSite",
    "Rounds",
    "SizeReport",
    "Standing",
    "TestServices",
    "TestedType",
    "TrialEngine",
    "TrialRanks",
    "TypeFields",
    "check_cache_dir",
    "check_is_first",
    "check_path_component",
    "load_flat",
]
