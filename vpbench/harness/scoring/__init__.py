"""Scores stored predictions, and folders of clips against each other."""
