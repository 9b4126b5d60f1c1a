"""Metrics of the KV-cache benchmark: the declarations, a module for each subject."""
