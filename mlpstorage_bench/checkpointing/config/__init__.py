"""Parameters and profiles of checkpointing, and the rules of the CLOSED division."""
