"""Runs a detector component on video, as the harness has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vpbench.api import Frames, MethodFailed, Pose, VpbenchError
from vpbench.kit.composed import evaluating, modules_of
from vpbench.kit.tensors import pose_to_tensor, to_tensor


def detect(
    detector: Any, frames: Frames, pose: Pose | None, device: str = "cpu", name: str = "detector"
) -> Pose:
    """Keypoints of clips, in evaluation mode.

    Args:
        detector: a component for the slot `detector`.
        frames: uint8 [B,T,H,W,3].
        pose: float32 [B,T,J,3]; None for detectors that take none.
        name: of the component, for errors.
        device: the device of a detector without torch parameters.

    Returns:
        float32 [B,T,K,3].

    Raises:
        MethodFailed: it raised, or returned another shape or NaN.
    """
    where: Any = next((p.device for m in modules_of(detector) for p in m.parameters()), device)
    given = pose_to_tensor(pose, where)
    with torch.inference_mode(), evaluating([detector]):
        try:
            points: Any = detector.detect(to_tensor(frames, where), given)
        except VpbenchError:
            raise
        except Exception as error:  # a plugin may raise anything
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            raise MethodFailed(f"{name}.detect failed: {text}") from error
    shape = list(getattr(points, "shape", ()))
    if len(shape) != 4 or shape[:2] != list(frames.shape[:2]) or shape[3] != 3:
        raise MethodFailed(
            f"{name}.detect returned {shape or type(points).__name__}, "
            f"{[*frames.shape[:2], 'K', 3]} is expected."
        )
    array = points.detach().cpu().float().numpy().astype(np.float32)
    if not np.isfinite(array).all():
        raise MethodFailed(f"{name}.detect returned NaN or infinity.")
    return array
