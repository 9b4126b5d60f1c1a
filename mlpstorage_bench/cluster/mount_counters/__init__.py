"""Counters of what a network filesystem moved: one module for each place where they are.

Readers are functions of a file's text; the others find the files of a mount.
"""
