"""What a translator draws for given keypoints: true ones, or shifted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vpbench.api import Conditioning, Frames, MethodFailed, Pose, TaskInfo, UsageError
from vpbench.kit.composed import ComposedMethod
from vpbench.kit.labels import detect_clip


class _Known:
    """Takes the place of a motion model whose answer is known."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """The known keypoints [B,T,K,3]."""
        return self.target.to(keypoints.device)


def translation_intermediates(
    task: TaskInfo,
    slots: Mapping[str, Any],
    given: Conditioning,
    future: Frames,
    pose: Pose | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
) -> dict[str, npt.NDArray[Any]]:
    """Translate the last given frame to the keypoints of the true future.

    Args:
        slots: a trained detector and translator.
        given: the given frames of B clips.
        future: the true future, uint8 [B,T,H,W,3].
        pose: joints of the future, float32 [B,T,J,3], for detectors that ask for them.
        shift: added to x and y of the target's keypoints; (4, 0) moves all of them out of the
            frame, which shows what the translator puts where the object was.

    Returns:
        As `ComposedMethod.intermediates`, with S = 1.

    Raises:
        UsageError: `future` is not a video of the given clips.
        MethodFailed: a component returned the wrong shape, or NaN.
    """
    if future.ndim != 5 or len(future) != len(given):
        raise UsageError(f"future {list(future.shape)} must be [B,T,H,W,3], B = {len(given)}.")
    points = np.stack(
        [
            detect_clip(slots["detector"], clip, None if pose is None else pose[b])
            for b, clip in enumerate(future)
        ]
    )
    target = torch.from_numpy(points)
    target[..., :2] += torch.tensor(shift)
    parts: dict[str, Any] = {"motion": _Known(target)}
    parts |= {name: slots[name] for name in ("detector", "translator")}
    method = ComposedMethod(task, {}, parts)
    seeds = np.zeros((len(given), 1), np.int64)
    try:
        return method.intermediates(given, future.shape[1], seeds)
    except (RuntimeError, IndexError, ValueError) as error:  # torch's own, from a plugin's parts
        first = (str(error).splitlines() or [""])[0]
        raise MethodFailed(f"the translator failed: {first}") from error
