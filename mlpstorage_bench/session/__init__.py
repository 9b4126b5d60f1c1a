"""A pytest session over ranks."""
