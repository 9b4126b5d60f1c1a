"""Files of a run: its directory, metadata, summary and per-rank results."""
