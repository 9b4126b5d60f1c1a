"""Generation of datasets, and trials: workers of a loader, accelerators, epochs."""
