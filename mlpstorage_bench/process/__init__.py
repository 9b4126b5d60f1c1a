"""Helper processes, signals and standard streams; limits and identity of processes."""
