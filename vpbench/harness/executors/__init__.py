"""Ways to place jobs."""
