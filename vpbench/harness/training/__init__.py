"""Trains stages: what a fit is given, and the one way to load what was learned."""
