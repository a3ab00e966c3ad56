"""Decode, encode and resize clips: nothing else opens a video file."""
