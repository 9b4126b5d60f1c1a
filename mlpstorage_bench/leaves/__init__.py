"""Directories of runs, whoever wrote them: place, files, commands and figures."""
