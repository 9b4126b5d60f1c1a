"""The cache: tiers, the index of their entries, and eviction."""
