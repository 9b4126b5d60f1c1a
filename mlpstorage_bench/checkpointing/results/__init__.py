"""Results of checkpoints: records of ranks, metrics, and files in the reference's form."""
