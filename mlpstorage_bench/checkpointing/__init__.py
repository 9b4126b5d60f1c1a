"""The checkpointing benchmark type: the state of a training job, written and read back."""
