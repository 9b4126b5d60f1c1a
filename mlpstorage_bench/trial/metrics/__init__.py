"""Metrics of what lies below any work on storage: audits, limits, cost of the harness."""
