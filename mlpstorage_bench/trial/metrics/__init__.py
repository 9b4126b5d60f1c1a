"""Metrics of any work on storage: audits, limits, cost of the harness."""
