"""Comparison of runs, whoever made them: what makes them unlike, then their figures."""
