"""Runs of checkpoints on all ranks: files, lanes, phases, and the page cache between them."""
