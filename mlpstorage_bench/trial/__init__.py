"""Trials of any benchmark type: lanes, windows, counters, steps, pooling, failures, interrupts."""
