"""Requests and their times: pure functions, without clock, I/O or global state."""
