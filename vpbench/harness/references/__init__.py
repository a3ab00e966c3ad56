"""Rows that stand in every table: ceiling, floor, retrieval and trivial methods."""
