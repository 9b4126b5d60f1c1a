"""Runs the trials of the KV-cache workload."""
