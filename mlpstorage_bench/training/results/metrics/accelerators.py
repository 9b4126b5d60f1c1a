"""Accelerators: how busy they were, and what they took."""

from __future__ import annotations

from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import MEAN, MEAN_WITH_SPREAD, NOT_COMBINED, SUM
from mlpstorage_bench.training.results.training_ranks import RANKS
from mlpstorage_bench.units import (
    COUNT,
    MIB_PER_S,
    PERCENT,
    RECORD,
    SAMPLES_PER_S,
    SECONDS,
    SHARE,
)


class Accelerators(Measured):
    """Accelerators and their samples."""

    au_percentage = Metric(
        "Accelerator utilization: the share of the time in which accelerators computed.",
        PERCENT,
        RANKS.together("mean over ranks, then over epochs", lambda trial: trial.au_percentage),
        MEAN_WITH_SPREAD,
        formula="(steps - 1) x computation time ÷ time from the end of the first step to the end "
        "of the last one, x 100, of each rank and epoch",
        title="AU %",
        better="higher",
        gate="-5%",
        shown=Shown.LISTS,
        aliases=("au",),
        legend="AU: accelerator utilization, the mean of all accelerators and epochs, without "
        "the first step of an epoch",
    )
    samples_per_s = Metric(
        "Samples that all accelerators took per second, with those of the first steps.",
        SAMPLES_PER_S,
        RANKS.together("sum over ranks, then mean of epochs", lambda trial: trial.samples_per_s),
        MEAN_WITH_SPREAD,
        formula="steps x batch size ÷ seconds of the epoch, of each rank",
        title="samples/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
        legend="samples/s and train MiB/s: means of the epochs' rates, without the time between "
        "epochs, and so at or above samples ÷ window",
    )
    train_mib_s = Metric(
        "Bandwidth as the reference reports it: whole samples, also where columns are left out.",
        MIB_PER_S,
        RANKS.together("of samples_per_s", lambda trial: trial.mib_per_s),
        MEAN_WITH_SPREAD,
        formula="samples_per_s x mean bytes of a sample ÷ 2^20",
        title="train MiB/s",
        better="higher",
        shown=Shown.HEADLINE,
    )
    least_au_percentage = Metric(
        "Mean utilization of the accelerator that was used least.",
        PERCENT,
        RANKS.together("least of the ranks' means", lambda trial: trial.least_au_percentage),
        MEAN,
        title="least AU %",
        better="higher",
        shown=Shown.REPORT,
    )
    data_wait_share = Metric(
        "Share of the steps' time, without the first steps, in which accelerators waited for a "
        "batch.",
        SHARE,
        RANKS.together(
            "sum of waits ÷ sum of times",
            lambda trial: trial.data_wait_share,
        ),
        MEAN,
        title="waits for data",
        better="lower",
        shown=Shown.REPORT,
    )
    late_share = Metric(
        "Share of the steps' time, without the first steps, by which computations ended late: "
        "this host had no processor for the accelerators, which real ones do not need.",
        SHARE,
        RANKS.together("sum ÷ sum of times", lambda trial: trial.late_share),
        MEAN,
        title="late computations",
        better="lower",
        shown=Shown.REPORT,
    )
    first_batch_s = Metric(
        "Time until an accelerator had the first batch of an epoch.",
        SECONDS,
        RANKS.together("mean over ranks and epochs", lambda trial: trial.first_batch_s),
        MEAN,
        title="first batch s",
        better="lower",
        shown=Shown.REPORT,
    )
    epoch_s = Metric(
        "Length of an epoch, of the slowest accelerator.",
        SECONDS,
        RANKS.together("mean over epochs of the longest", lambda trial: trial.epoch_s),
        MEAN,
        better="lower",
    )
    epochs = Metric(
        "Epochs that were begun.",
        COUNT,
        RANKS.largest(lambda rank: len(rank.epochs)),
        SUM,
    )
    steps = Metric(
        "Steps that ended, of all accelerators.",
        COUNT,
        RANKS.total(lambda rank: sum(one.steps for one in rank.epochs)),
        SUM,
    )
    samples = Metric(
        "Samples of the steps that ended, of all accelerators.",
        COUNT,
        RANKS.total(lambda rank: rank.samples),
        SUM,
    )
    au_by_epoch = Metric(
        "Accelerator utilization of each epoch, in percent.",
        RECORD,
        RANKS.together(
            "mean over ranks", lambda trial: [one.au_percentage for one in trial.epochs]
        ),
        NOT_COMBINED,
    )
    samples_per_s_by_epoch = Metric(
        "Samples per second in each epoch.",
        RECORD,
        RANKS.together("sum over ranks", lambda trial: [one.samples_per_s for one in trial.epochs]),
        NOT_COMBINED,
    )
