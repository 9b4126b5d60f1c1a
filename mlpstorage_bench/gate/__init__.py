"""Comparison of a run with earlier runs: verdicts on metrics, with controlled error rates."""
