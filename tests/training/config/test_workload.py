"""Parameters of a training: defaults of model and accelerator, and combinations that fail."""

from __future__ import annotations

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.training.config.profile_file import load_profile
from mlpstorage_bench.training.config.workload import TrainingWorkload


def of(**settings: str) -> TrainingWorkload:
    return load_profile("mlperf", [*settings.items()]).workloads["train"]


def test_accelerators_have_their_batches_times_workers_and_epochs() -> None:
    workload = of(model="retinanet", accelerator="mi355")
    assert (workload.batch, workload.computation_s) == (36, 0.071325)
    assert (workload.workers, workload.epoch_count) == (8, 8)


def test_settings_take_precedence_over_the_accelerator() -> None:
    workload = of(read_threads="2", epochs="3", batch_size="1", computation_time="0.5")
    assert (workload.batch, workload.computation_s) == (1, 0.5)
    assert (workload.workers, workload.epoch_count) == (2, 3)


@pytest.mark.parametrize(
    ("threads", "size", "ahead"), [(4, 2, 1), (1, 2, 2), (4, 9, 3), (4, 0, 2), (0, 2, 0)]
)
def test_each_worker_reads_at_least_one_batch_ahead(threads: int, size: int, ahead: int) -> None:
    assert of(read_threads=str(threads), prefetch_size=str(size)).ahead == ahead


def test_a_prefetch_factor_is_taken_as_it_is() -> None:
    assert of(read_threads="4", prefetch_factor="5").ahead == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"accelerator": "mi355"},
            (
                "workloads.train: unet3d has no times of mi355: set accelerator to b200 or h100 or "
                "a100, model to retinanet or flux or dlrm, or both batch_size and computation_time$"
            ),
        ),
        ({"model": "dlrm", "batch_size": "100"}, "multiple of 6144"),
        ({"model": "dlrm", "num_samples_per_file": "6145"}, "multiple of 6144"),
        ({"format": "jpeg"}, "formats raw and npz"),
        ({"model": "dlrm", "scale": "0.01"}, "nothing would be read: from 0.18 on, each column"),
        ({"reader": "torch", "io_mode": "direct"}, "through the page cache"),
        ({"model": "resnet"}, "model"),
        ({"io_chunk_kib": "6"}, "multiple of 4"),
    ],
)
def test_combinations_that_cannot_run_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        of(**settings)


def test_an_accelerator_without_known_times_needs_them() -> None:
    workload = of(accelerator="mi355", batch_size="7", computation_time="0.2")
    assert (workload.batch, workload.computation_s) == (7, 0.2)


def test_steps_determine_the_files_of_a_scaled_dataset() -> None:
    workload = of(steps="30")
    assert workload.files_for_steps(ranks=2) == 30 * 7 * 2
    assert of().files_for_steps(ranks=2) is None
    assert of(model="flux", steps="3").files_for_steps(ranks=1) == 1


def test_a_scaled_dataset_has_exactly_the_steps() -> None:
    workload = of(steps="30", scale="0.01")
    dataset = workload.dataset(workload.files_for_steps(2) or 0, seed=1)
    assert workload.epochs_of(dataset, ranks=2).steps == 30


def test_a_scale_at_which_no_column_is_read_is_refused_for_raw_files_alone() -> None:
    assert of(model="dlrm", scale="0.01", format="parquet").scale == 0.01
    assert of(model="dlrm", scale="0.05").dataset(1, 0).read_pieces(0, 0)


def test_the_model_of_the_path_follows_the_setting() -> None:
    assert load_profile("quick", [("model", "retinanet")]).model == "retinanet"
