"""A linear classifier in closed form: ridge regression on one-hot classes, in float64.

Features are standardised, every class has the same total weight, and the penalty is `PENALTY` times
the mean squared norm of a standardised feature. The same features give the same classifier
everywhere: nothing is drawn and nothing is tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UsageError

Floats = npt.NDArray[np.float64]

PENALTY = 1.0
"""Fixed. Between 0.1 and 10 it changes the answer for no clip of Weizmann."""

RECIPE = "ridge-onehot-balanced-standardised"
"""Changes with the arithmetic below; part of the fingerprint."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """A classifier of features [d] into C classes.

    Attributes:
        mean, scale: [d], of the training features; a feature that never varies has scale 1.
        weights: [d,C], of standardised features.
        bias: [C].
        variance: mean squared leave-one-out error of a score.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    variance: float

    def scores(self, features: npt.NDArray[np.floating]) -> Floats:
        """[n,d] -> [n,C]: what the regression predicts of the one-hot class."""
        return (features.astype(np.float64) - self.mean) / self.scale @ self.weights + self.bias

    def softmax(self, features: npt.NDArray[np.floating]) -> Floats:
        """[n,d] -> [n,C]: probability of each class.

        That of the one-hot class under Gaussian errors of `variance`: softmax(scores / variance).
        """
        logits = self.scores(features) / self.variance
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        return powers / powers.sum(axis=1, keepdims=True)


def fit_ridge(features: npt.NDArray[np.floating], labels: Sequence[int], classes: int) -> Ridge:
    """Fit the classifier.

    Args:
        features: [n,d], finite.
        labels: class numbers in 0 .. classes-1.
        classes: C.

    Raises:
        UsageError: fewer than two classes, or a class without a clip.
        BadData: a feature is NaN or infinite.
    """
    x, label = np.asarray(features, np.float64), np.asarray(labels, np.int64)
    counts = np.bincount(label, minlength=classes)
    if classes < 2 or len(counts) != classes or len(x) != len(label):
        raise UsageError(f"a classifier needs classes, got {len(x)} clips and {classes} classes.")
    if not counts.all():
        raise UsageError(f"class {int(counts.argmin())} has no training clip.")
    if not np.isfinite(x).all():
        raise BadData("a feature is NaN or infinite.")
    mean, scale = x.mean(axis=0), x.std(axis=0)
    # Rounding leaves a constant feature a spread of 1e-16 of its size.
    scale[scale <= 1e-12 * np.abs(mean).clip(1)] = 1.0
    z, target = (x - mean) / scale, np.eye(classes)[label]
    weight = 1.0 / (classes * counts[label])  # sums to 1, equally for every class
    centre, share = weight @ z, weight @ target
    root = np.sqrt(weight)[:, None]
    zc, tc = (z - centre) * root, (target - share) * root
    penalty = PENALTY * max(float((zc * zc).sum()), 1e-12) / len(x)
    gram = zc.T @ zc
    gram[np.diag_indices_from(gram)] += penalty
    hat = np.linalg.solve(gram, zc.T)
    coefficients = hat @ tc
    residual = (tc - zc @ coefficients) / root
    leverage = (zc * hat.T).sum(axis=1) + weight
    # Exact for a penalised least-squares fit: the residual of a clip that the fit has not seen.
    left_out = residual / np.maximum(1.0 - leverage, 1e-9)[:, None]
    variance = float((weight[:, None] * left_out * left_out).sum()) / classes
    return Ridge(mean, scale, coefficients, share - centre @ coefficients, max(variance, 1e-6))
