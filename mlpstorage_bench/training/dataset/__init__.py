"""Files of a dataset: their directory, the places of samples in them, and their checks."""
