"""Progress of a run while it goes on: its state, its text, and a region of the terminal."""
