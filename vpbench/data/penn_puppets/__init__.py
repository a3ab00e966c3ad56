"""Rendered figures that move as people did in Penn Action."""
