"""Declarations of the metrics of trainings."""
