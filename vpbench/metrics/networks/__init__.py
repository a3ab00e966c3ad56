"""Metrics on features of networks other than I3D; importing this package costs nothing."""
