"""Profiles of any benchmark type: YAML files, settings of the command line, limits of values."""
