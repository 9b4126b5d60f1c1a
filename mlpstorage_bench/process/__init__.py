"""Helper processes, signals and standard error."""
