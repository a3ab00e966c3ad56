"""Mutated inputs for everything that reads files which others made."""
