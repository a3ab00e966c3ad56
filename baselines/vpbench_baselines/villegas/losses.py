"""Losses of the generator and its discriminator, and the rule that balances the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vpbench.kit.adversarial import fake_loss, real_loss


def squared_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Half of the mean squared error (the original's)."""
    return 0.5 * F.mse_loss(fake, real)


class FeatureLoss:
    """Half of the mean squared difference of a frozen network's features.

    Features are divided by their mean magnitude on real frames, so that weights mean the same for
    any network.

    Args:
        features: images [N,3,H,W] in [-1,1] -> one feature map; gradients flow to the images.
        frames: real images that magnitudes are measured on.
    """

    def __init__(self, features: Callable[[Tensor], Tensor], frames: Tensor) -> None:
        self.features = features
        with torch.no_grad():
            self.scale = 1 / float(features(frames).float().abs().mean().clamp_min(1e-8))

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        """A scalar; no gradient flows to `real`."""
        with torch.no_grad():
            wanted = self.features(real).float()
        return 0.5 * ((self.features(fake).float() - wanted) * self.scale).square().mean()


def matching_loss(real: Tensor, fake: Tensor, wrong: Tensor) -> dict[str, Tensor]:
    """The discriminator's losses from logits of pairs.

    Args:
        real: a real frame with its pose.
        fake: a generated frame with the pose that it was to have.
        wrong: a real frame with the pose of another one.

    Returns:
        "real", and "fake" of which the two kinds of false pairs have one half each.
    """
    return {
        "real": real_loss(real),
        "fake": 0.5 * fake_loss(fake) + 0.5 * fake_loss(wrong),
    }


def next_turns(
    turns: Mapping[str, bool], losses: Sequence[float], margin: float
) -> dict[str, bool]:
    """Which network is updated in the next step: one that is far ahead waits until both would.

    Args:
        turns: "discriminator" and "generator": which was updated in this step.
        losses: the discriminator's two.
        margin: a loss below it stops the discriminator, one above 1 - margin the generator; 0 does
            not balance the two.
    """
    if margin <= 0:
        return {"discriminator": True, "generator": True}
    discriminator = turns["discriminator"] and not any(x < margin for x in losses)
    generator = turns["generator"] and not any(x > 1 - margin for x in losses)
    if not discriminator and not generator:
        discriminator = generator = True
    return {"discriminator": discriminator, "generator": generator}
