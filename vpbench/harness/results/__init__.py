"""Reads finished runs and compares them."""
