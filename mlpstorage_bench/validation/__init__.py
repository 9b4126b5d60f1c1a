"""Checks of result trees against the rules of MLPerf Storage and against rules of our own."""
