"""Earlier runs: their metadata files, and an index over them for quick queries."""
