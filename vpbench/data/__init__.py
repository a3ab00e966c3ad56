"""Datasets that come with vpbench."""
