"""Whether a run is worse than those before it, and whether its samples can tell."""
