"""Metrics of checkpoints, each declared once."""
