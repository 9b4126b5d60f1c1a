"""Measurement: histograms, the window, the recorder, the kernel's counters.

Independent of any workload, so that every benchmark type can use it.
"""
