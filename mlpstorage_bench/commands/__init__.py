"""Commands that print and exit instead of running tests."""
