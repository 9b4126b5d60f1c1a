"""Measurements of ranks, pooled over ranks and trials, and their files."""
