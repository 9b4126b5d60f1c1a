"""What a run leaves behind: its directory, metadata, summary and per-rank results."""
