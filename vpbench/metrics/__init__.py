"""Metrics that come with vpbench."""
