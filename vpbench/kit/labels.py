"""Keypoints of whole clips, for the training of motion models."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpbench.api.errors import MethodFailed
from vpbench.api.types import Frames, Pose

CHUNK = 32
"""Frames that a detector sees at once here; fixed, so that the labels do not depend on it."""


def detect_clip(detector: Any, frames: Frames, pose: Pose | None) -> Pose:
    """Run a detector over a clip.

    Args:
        detector: a `Detector` of `vpbench.api`.
        frames: uint8 [L,H,W,3].
        pose: float32 [L,J,3] in [-1,1] or None; passed on only where the detector asks for it.

    Returns:
        float32 [L,K,3].

    Raises:
        MethodFailed: the result has another shape, or is not finite.
    """
    import torch

    from vpbench.kit.composed import evaluating, modules_of
    from vpbench.kit.tensors import to_tensor

    wants = getattr(getattr(detector, "capabilities", None), "pose", "no") in (
        "required",
        "optional",
    )
    tensors = (t for m in modules_of(detector) for t in (*m.parameters(), *m.buffers()))
    device = next((t.device for t in tensors), torch.device("cpu"))
    parts: list[Any] = []
    with torch.inference_mode(), evaluating([detector]):
        for start in range(0, len(frames), CHUNK):
            part = to_tensor(frames[start : start + CHUNK], device)[None]
            joints = None
            if wants and pose is not None:
                joints = torch.from_numpy(np.ascontiguousarray(pose[start : start + CHUNK]))[None]
                joints = joints.to(device)
            parts.append(detector.detect(part, joints)[0].cpu().float().numpy())
    points = np.concatenate(parts)
    if points.ndim != 3 or points.shape[0] != len(frames) or points.shape[2] != 3:
        raise MethodFailed(
            f"{type(detector).__name__}.detect returned {list(points.shape)} for {len(frames)} "
            "frames; it must be [B,T,K,3]."
        )
    if not np.isfinite(points).all():
        raise MethodFailed(f"{type(detector).__name__}.detect returned NaN or infinite keypoints.")
    return points
