"""Parameters of a run in the reference's form, as readers of its metadata look for them."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.checkpointing.config.parameters import Parameters

_FRAMEWORK = "pytorch"


def reference_parameters(parameters: Parameters, checkpoint_folder: str) -> Json:
    """Return the reference's nested parameters of these."""
    model = parameters.trained
    shape, parallelism = model.shape, model.parallelism
    counts = counts_of(parameters)
    return {
        "model": {
            "name": model.reference_name,
            "type": "transformer",
            "num_layers": shape.layers,
            "model_datatype": "fp16",
            "optimizer_datatype": "fp32",
            "parallelism": {
                "pipeline": parallelism.pipeline,
                "tensor": parallelism.tensor,
                "zero_stage": parallelism.zero_stage,
            },
            "transformer": {
                "vocab_size": shape.vocabulary,
                "hidden_size": shape.hidden,
                "ffn_hidden_size": shape.ffn,
                "num_attention_heads": shape.heads,
                "num_kv_heads": shape.kv_heads,
            },
        },
        "framework": _FRAMEWORK,
        "workflow": {"generate_data": False, "train": False, "checkpoint": True},
        "checkpoint": {
            "checkpoint_folder": checkpoint_folder,
            "time_between_checkpoints": parameters.time_between_checkpoints,
            **counts,
            "fsync": parameters.fsync,
            **({"mode": "subset"} if parameters.subset else {}),
        },
    }


def counts_of(parameters: Parameters) -> dict[str, int]:
    """Return the numbers of checkpoints, which are 0 of the phase that does not run."""
    kinds = parameters.kinds
    return {
        f"num_checkpoints_{kind}": parameters.checkpoints(kind) if kind in kinds else 0
        for kind in ("write", "read")
    }
