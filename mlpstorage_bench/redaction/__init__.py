"""Removal of secrets from everything that is stored or printed."""
