"""Command-line flags of each family of launchers."""
