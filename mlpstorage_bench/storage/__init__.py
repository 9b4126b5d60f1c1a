"""Data transfer: buffers, content, files with and without the page cache, memory.

Independent of any workload, so that every benchmark type can use it.
"""
