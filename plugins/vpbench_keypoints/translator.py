"""The translator T as a component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api import TaskInfo
from vpbench.kit import autocast, load_weights, save_weights, seeded
from vpbench_keypoints.networks import TranslatorNetwork, blend

CHUNK = 64
"""Images that are drawn at once, which bounds the memory."""

_PAPER_SHARPNESS = 14.3
_PAPER_MAP = 32


def map_sharpness(size: int) -> float:
    """Sharpness of the gaussian maps for images of `size` pixels.

    The paper's 14.3 belongs to maps of 32 pixels. Smaller maps keep the bump's width in cells, so
    that a point between two cells is not lost.
    """
    return _PAPER_SHARPNESS * (size // 4 - 1) / (_PAPER_MAP - 1)


class KeypointTranslator(nn.Module):
    """Redraws a frame; `factory(task, params, space)` of a translator component."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.params = dict(params)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Untrained weights, drawn from `seed`."""
        p = self.params
        with seeded(seed):
            self.net = TranslatorNetwork(
                int(p["n_keypoints"]),
                int(p["translator_width"]),
                int(p["translator_decoder"]),
                float(p["bn_momentum"]),
                reference=bool(p["reference_keypoints"]),
                mask=bool(p["mask"]),
                skips=bool(p["skips"]),
            ).to(memory_format=torch.channels_last)

    def draw(
        self,
        image: Tensor,
        source: Tensor,
        target: Tensor,
        sharpness: float,
        precision: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One frame for each image.

        Args:
            image: [N,3,H,W] in [-1,1].
            source, target: keypoints [N,K,2 or 3].

        Returns:
            The result [N,3,H,W], not clipped; the coarse image; the mask [N,1,H,W] or None.
        """
        image = image.contiguous(memory_format=torch.channels_last)
        with autocast(image.device, precision):
            coarse, mask = self.net.decode(self.net.encode(image), source, target, sharpness)
        coarse, mask = coarse.float(), None if mask is None else mask.float()
        return blend(image, coarse, mask), coarse, mask

    def intermediates(self, frame: Tensor, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """As `render`, with the coarse images and the masks: each [B,T,C,H,W] in [0,1]."""
        image = frame * 2.0 - 1.0
        sharpness = map_sharpness(frame.shape[-1])
        appearance = self.net.encode(image.contiguous(memory_format=torch.channels_last))
        parts: dict[str, list[Tensor]] = {}
        for start in range(0, target.shape[1], max(1, CHUNK // len(frame))):
            wanted = target[:, start : start + max(1, CHUNK // len(frame))]
            steps = wanted.shape[1]

            def tiled(value: Tensor, steps: int = steps) -> Tensor:
                return value.repeat_interleave(steps, 0)

            coarse, mask = self.net.decode(
                [tiled(level) for level in appearance],
                tiled(source),
                wanted.flatten(0, 1),
                sharpness,
            )
            whole = {"final": blend(tiled(image), coarse, mask), "coarse": coarse}
            images = {k: (v.clamp(-1.0, 1.0) + 1.0) / 2.0 for k, v in whole.items()}
            if mask is not None:
                images["mask"] = mask
            for name, value in images.items():
                shaped = value.unflatten(0, (len(frame), steps))
                parts.setdefault(name, []).append(shaped)
        return {name: torch.cat(values, 1) for name, values in parts.items()}

    def render(self, frame: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1], [B,K,3], [B,T,K,3] -> [B,T,3,H,W]."""
        return self.intermediates(frame, source, target)["final"]

    def save(self, folder: Path) -> None:
        """Write the weights: matrices in half precision."""
        save_weights(self.net, folder)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights."""
        load_weights(self.net, folder, device)
