"""What the hosts of a session are, gathered by its own ranks."""
