"""Interface that every benchmark type implements, and the records of its results and sizes."""
