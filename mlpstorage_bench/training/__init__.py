"""The training benchmark type: the reads of a data loader that feeds simulated accelerators."""
