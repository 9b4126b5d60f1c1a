"""Metrics: declarations, rules by which values combine, and the page that describes them."""
