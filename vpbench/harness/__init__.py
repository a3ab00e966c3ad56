"""Fits, predicts, scores and compares."""
