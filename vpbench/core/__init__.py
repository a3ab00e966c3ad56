"""Pure logic: no torch, no click."""
