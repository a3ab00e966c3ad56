"""Puppets: rendered figures in nine actions, made from integers, the same on every machine."""

from vpbench.data.puppets.actions import CLASS_NAMES
from vpbench.data.puppets.clips import Clip, render_clip
from vpbench.data.puppets.skeleton import BONES, FLIP_PAIRS, JOINT_NAMES

__all__ = ["BONES", "CLASS_NAMES", "FLIP_PAIRS", "JOINT_NAMES", "Clip", "render_clip"]
