"""Sealed predictions of test clips, and predictions from any picture."""
