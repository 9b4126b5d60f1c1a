"""Record of the gate's result on a run, as metadata keep it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class VerdictRecord(BaseModel):
    """The gate's verdict on one metric of one case."""

    model_config = ConfigDict(extra="allow", frozen=True)

    case: str
    metric: str
    verdict: str
    unit: str = ""
    rule: str = ""
    reason: str = ""
    fails: bool = False
    """Whether it fails the session."""
    median: float | None = None
    trials: int = 0
    """Trials that were judged; those that were disturbed are left out if enough others exist."""
    baseline_runs: list[str] = []
    baseline_median: float | None = None
    baseline_spread: float | None = None
    change: str | None = None
    """Change in words."""
    effect: float | None = None
    """Relative change; negative is worse."""
    interval: tuple[float, float] | None = None
    """Confidence interval of the effect."""
    p_value: float | None = None
    detectable_effect: float | None = None
    more_trials: int | None = None


class NotJudgedRecord(BaseModel):
    """A rule that is not judged in a case, as no comparable run has a figure for it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    case: str
    metric: str
    rule: str = ""
    reason: str = ""


class UnusedRuleRecord(BaseModel):
    """A rule of the user for which no case has a figure."""

    model_config = ConfigDict(extra="allow", frozen=True)

    rule: str
    """As typed."""
    source: str = ""
    reason: str = ""


class GateRecord(BaseModel):
    """The gate's result on a whole run. Records of earlier versions have fewer fields."""

    model_config = ConfigDict(extra="allow", frozen=True)

    run_id: str = ""
    verdict: str = ""
    exit_status: int = 0
    baseline: str = ""
    across: bool = False
    look: int = 1
    looks: int = 1
    summary: str = ""
    next_step: str = ""
    verdicts: list[VerdictRecord] = []
    refusals: dict[str, str] = {}
    """Cases that were not compared, with the reason."""
    disturbances: dict[str, list[str]] = {}
    """Cases whose trials were disturbed, with the causes."""
    not_judged: list[NotJudgedRecord] = []
    unused_rules: list[UnusedRuleRecord] = []
