"""Baselines as plugins: vpbench reaches them through entry points only."""
