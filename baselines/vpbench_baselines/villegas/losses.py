"""Losses of the generator, and the rule by which one player waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


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
    false = 0.5 * F.softplus(fake).mean() + 0.5 * F.softplus(wrong).mean()
    return {"real": F.softplus(-real).mean(), "fake": false}


def fooling_loss(fake: Tensor) -> Tensor:
    """BCE(D(fake), 1) of logits."""
    return F.softplus(-fake).mean()


def next_turns(
    moves: Mapping[str, bool], losses: Sequence[float], margin: float
) -> dict[str, bool]:
    """Who moves in the next step: a player that is far ahead waits until both would wait.

    Args:
        moves: "discriminator" and "generator": who has moved.
        losses: the discriminator's two.
        margin: a loss below it stops the discriminator, one above 1 - margin the generator; 0 stops
            nobody.
    """
    if margin <= 0:
        return {"discriminator": True, "generator": True}
    judge = moves["discriminator"] and not any(x < margin for x in losses)
    draws = moves["generator"] and not any(x > 1 - margin for x in losses)
    if not judge and not draws:
        judge = draws = True
    return {"discriminator": judge, "generator": draws}
