"""Figures of a run for other programs: Prometheus, OpenMetrics, JSON and CSV."""
