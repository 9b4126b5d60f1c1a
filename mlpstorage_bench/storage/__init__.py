"""How bytes move: buffers, content, files with and without the page cache, memory.

Knows no workload, so that every benchmark type can use it.
"""
