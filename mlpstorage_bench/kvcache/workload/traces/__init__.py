"""Formats of recorded workloads: rows to requests, and what each format is taken to mean."""
