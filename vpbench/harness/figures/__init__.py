"""Figures of what methods predict, in the manner of the papers of the field."""
