"""Checks of this machine: whether a run works here and can be trusted."""
