"""uint8 video <-> torch, poses, and noise that depends on a clip's own seed only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vpbench.api import Frames, MethodFailed, Pose, UsageError


def to_tensor(frames: Frames | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """Video for networks.

    Args:
        frames: uint8 [...,H,W,3]; read-only arrays are fine, nothing is shared with the result.
        device: where the result lies.

    Returns:
        float32 [...,3,H,W] in [0,1].

    Raises:
        UsageError: not uint8, or the last axis is not 3.
    """
    if isinstance(frames, Tensor):
        right, tensor = frames.dtype == torch.uint8, frames
    else:
        # a copy, because torch warns about memory that it may not write to
        frames = np.array(frames)
        right = frames.dtype == np.uint8
        tensor = torch.from_numpy(frames) if right else torch.empty(frames.shape)
    if not right or tensor.ndim < 3 or tensor.shape[-1] != 3:
        raise UsageError(
            f"frames must be uint8 [...,H,W,3], not {frames.dtype} {list(tensor.shape)}."
        )
    return tensor.to(device).movedim(-1, -3).to(torch.float32).div(255.0).contiguous()


def to_uint8(video: Tensor) -> Frames:
    """Video for vpbench: clipped to [0,1], rounded half up; the inverse of `to_tensor`.

    Args:
        video: floating point [...,3,H,W].

    Returns:
        uint8 [...,H,W,3].

    Raises:
        UsageError: the axis before height and width is not 3, or the tensor holds integers.
        MethodFailed: NaN among the values.
    """
    if video.ndim < 3 or video.shape[-3] != 3 or not video.is_floating_point():
        raise UsageError(
            f"video must be floating point [...,3,H,W], not {video.dtype} {list(video.shape)}."
        )
    video = video.detach().to(torch.float32)
    if bool(torch.isnan(video).any()):
        raise MethodFailed("the predicted frames hold NaN.")
    levels = video.clamp(0.0, 1.0).mul(255.0).add(0.5).floor().to(torch.uint8)
    return levels.movedim(-3, -1).contiguous().cpu().numpy()


def pose_to_tensor(pose: Pose | None, device: str | torch.device = "cpu") -> Tensor | None:
    """float32 [...,J,3] as a tensor that shares nothing with it; None stays None.

    Raises:
        UsageError: the last axis is not (x, y, confidence).
    """
    if pose is None:
        return None
    copy = np.array(pose, dtype=np.float32)
    if copy.ndim < 2 or copy.shape[-1] != 3:
        raise UsageError(f"pose must be [...,J,3], not {list(copy.shape)}.")
    return torch.from_numpy(copy).to(device)


def generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator of its own, in which all 64 bits of `seed` count.

    torch's CPU generator looks at 32 bits of its seed only, so the seed is hashed first: two
    seeds that differ in high bits give different streams.
    """
    word = hashlib.sha256(f"generator\x1f{int(seed)}".encode()).digest()[:8]
    return torch.Generator(device=device).manual_seed(int.from_bytes(word, "big"))


def normal(
    seeds: Tensor | npt.NDArray[np.int64] | Sequence[int],
    shape: Sequence[int],
    device: str | torch.device = "cpu",
) -> Tensor:
    """Gaussian noise, one independent draw a clip.

    Entry b depends on `seeds[b]` and `shape` alone: not on the other clips, their number or order,
    nor on the device, because the numbers are always drawn on the CPU.

    Args:
        seeds: int64 [B].
        shape: of the noise of one clip.
        device: where the result lies.

    Returns:
        float32 [B,*shape], mean 0, variance 1.
    """
    values = np.asarray(seeds.cpu() if isinstance(seeds, Tensor) else seeds, dtype=np.int64)
    if values.ndim != 1:
        raise UsageError(f"seeds must be int64 [B], not {list(values.shape)}.")
    noise = np.empty((len(values), *shape), dtype=np.float32)
    for row, seed in enumerate(values.tolist()):
        # SeedSequence takes no negative numbers
        stream = np.random.Generator(np.random.PCG64(seed % 2**64))
        noise[row] = stream.standard_normal(tuple(shape), dtype=np.float32)
    return torch.from_numpy(noise).to(device)
