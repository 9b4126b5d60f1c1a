"""What counts, and how it is counted: histograms, the window, the recorder, the kernel's view.

Knows no workload, so that every benchmark type can use it.
"""
