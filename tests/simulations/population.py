"""Populations of features to draw from, whose distances are known exactly.

The features are those that I3D makes of the training clips of `puppets`, of copies of their last
given frame, and of their blurred futures. New clips are drawn by a shrunk smoothed bootstrap
(Silverman & Young, Biometrika 74, 1987): within a class, a stored clip and Gaussian noise of the
class's covariance, scaled so that the moments of the class stay as they are. A prediction is drawn
jointly with its target. So the distance of two populations follows from moments, and no two clips
are equal.

    python -m tests.simulations.population     makes the features where they are not there yet
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vpbench.core.hashing import digest
from vpbench.core.paths import cache_folder
from vpbench.metrics.frechet import Moments, frechet_moments

Floats = npt.NDArray[np.float64]

HOME = cache_folder()
"""The cache at import: a test's own VPBENCH_HOME would begin empty each time."""

COUNTS = {"real": 900, "copy-last": 450, "blurred": 300}
"""Training clips whose features are taken, from the first."""
SMOOTHING = 0.5
"""Standard deviation of the noise, as a part of the class's."""
GIVEN, FRAMES = 5, 16
"""Frames that come before those to predict, and the number of these."""
BLUR = Decimal(1)
"""Standard deviation in pixels."""


@dataclass(frozen=True, eq=False)
class Population:
    """Targets and the predictions of one method, to be drawn in pairs.

    Attributes:
        real: [n,d], features of targets.
        fake: [n,d], of what the method predicts for each.
        labels: [n], the class of each, 0..k-1.
    """

    real: Floats
    fake: Floats
    labels: npt.NDArray[np.intp]

    @cached_property
    def parts(self) -> list[tuple[Floats, Floats]]:
        """Of each class the mean [2d] of the pairs and their deviations from it [m,2d]."""
        both = np.concatenate([self.real, self.fake], axis=1)
        rows = [both[self.labels == label] for label in range(self.classes)]
        return [(part.mean(axis=0), part - part.mean(axis=0)) for part in rows]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.labels.max()) + 1

    def draw(
        self, rng: np.random.Generator, n: int, shared: tuple[float, ...] = (1.0,)
    ) -> tuple[Floats, list[Floats]]:
        """Targets of n new clips, balanced over the classes, and what methods predict for them.

        All the methods have the same population of predictions, whatever their `shared`, and so
        the same distance from the targets' population.

        Args:
            n: clips.
            shared: of each method, how much of a prediction follows from its target as in the
                stored pairs: 1 wholly, 0 only the class. In between, methods also differ from each
                other on the same clip.

        Returns:
            [n,d], and [n,d] of each method.
        """
        rounds = -(-n // self.classes)
        labels = np.concatenate([rng.permutation(self.classes) for _ in range(rounds)])[:n]
        d = self.real.shape[1]
        real = np.empty((n, d))
        fakes = [np.empty((n, d)) for _ in shared]
        for label in range(self.classes):
            rows = np.flatnonzero(labels == label)
            mean = self.parts[label][0]
            pairs = self._deviations(rng, label, len(rows))
            real[rows] = mean[:d] + pairs[:, :d]
            for fake, part in zip(fakes, shared, strict=True):
                fake[rows] = mean[d:] + np.sqrt(part) * pairs[:, d:]
                if part < 1:
                    own = self._deviations(rng, label, len(rows))[:, d:]
                    fake[rows] += np.sqrt(1 - part) * own
        return real, fakes

    def distance(self) -> float:
        """The Frechet distance of the two populations: that of endless clips."""
        sides = [self._moments(slice(None, self.real.shape[1]))]
        sides.append(self._moments(slice(self.real.shape[1], None)))
        return frechet_moments(sides[0], sides[1], ddof=0)

    def known(self, real: Floats, fake: Floats, shared: float) -> Floats:
        """Four statistics of drawn pairs less their expectations: most of what moves a distance.

        These are the means' distance along that of the populations, the spreads of both sides and
        what these share. A simulation that takes them out needs a tenth of the draws.

        Args:
            real, fake: [n,d], from `draw`.
            shared: of this method there.
        """
        n, classes, d = len(real), self.classes, real.shape[1]
        means = np.stack([mean for mean, _ in self.parts])
        centre = means.mean(axis=0)
        way = centre[:d] - centre[d:]
        odd = n % classes  # classes that have a clip more, drawn without repetition
        off = odd * (classes - odd) / max(classes - 1, 1) / n**2
        found = [way @ (real.mean(axis=0) - fake.mean(axis=0) - way)]
        sides = (real - real.mean(axis=0), fake - fake.mean(axis=0))
        for one, two in ((0, 0), (1, 1), (0, 1)):
            here, there = slice(one * d, one * d + d), slice(two * d, two * d + d)
            inner = sum(np.sum(r[:, here] * r[:, there]) / len(r) for _, r in self.parts) / classes
            outer = np.sum((means - centre)[:, here] * (means - centre)[:, there]) / classes
            inner *= np.sqrt(shared) if one != two else 1
            expected = inner * (1 - 1 / n) + outer * (1 - off)
            found.append(np.sum(sides[one] * sides[two]) / n - expected)
        return np.array(found)

    def _deviations(self, rng: np.random.Generator, label: int, count: int) -> Floats:
        """New pairs of a class, less its mean: [count,2d]."""
        rest = self.parts[label][1]
        picked = rest[rng.integers(0, len(rest), count)]
        noise = rng.normal(size=(count, len(rest))) @ rest / np.sqrt(len(rest))
        return (picked + SMOOTHING * noise) / np.sqrt(1 + SMOOTHING**2)

    def _moments(self, side: slice) -> Moments:
        """Of one side, every class with the same weight."""
        means = np.stack([mean[side] for mean, _ in self.parts])
        mean = means.mean(axis=0)
        inner = sum(rest[:, side].T @ rest[:, side] / len(rest) for _, rest in self.parts)
        outer = (means - mean).T @ (means - mean)
        n = len(self.real)
        return Moments(n, mean, (inner + outer) * (n / self.classes))


def gaussian(
    seed: int = 0, n: int = 120, d: int = 80, classes: int = 3, fall: float = 0.6
) -> dict[str, Population]:
    """Small made-up populations of the same kinds, for tests of seconds.

    Standard deviations fall as k^-fall, so that n clips leave a bias like that of I3D's features.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scale = np.arange(1, d + 1) ** -fall
    real = rng.normal(size=(n, d)) * scale + (rng.normal(size=(classes, d)) * scale)[labels]
    shift = rng.normal(size=d) * scale
    still = 0.6 * real + 2 * shift + rng.normal(size=(n, d)) * scale * 0.6
    blurred = 0.8 * real + shift + rng.normal(size=(n, d)) * scale * 0.2
    return {
        "real": Population(real, real, labels),
        "copy-last": Population(real, still, labels),
        "blurred": Population(real, blurred, labels),
    }


def puppets(weights: Path, home: Path = HOME) -> dict[str, Population]:
    """The populations of the module's head; features are cached by what the clips hold.

    Args:
        weights: of I3D.
        home: the cache for rendered clips and features. The first call renders 900 clips and runs
            1650 through the network: about ten minutes on one core.
    """
    from vpbench.metrics.feature_queue import features
    from vpbench.metrics.features import FeatureCache
    from vpbench.metrics.i3d.extract import I3DFeatures

    network = I3DFeatures(weights)
    fingerprint = network.fingerprint()
    cache = FeatureCache(fingerprint, home / "features" / digest(fingerprint)[:16])
    found = features(lambda: network, cache, _clips(home))
    rows = {
        kind: np.stack([found[f"{kind}/{i}"] for i in range(n)]).astype(np.float64)
        for kind, n in COUNTS.items()
    }
    labels = np.arange(COUNTS["real"]) % 9
    return {
        kind: Population(rows["real"][:n], rows[kind], labels[:n]) for kind, n in COUNTS.items()
    }


def _clips(home: Path) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Every clip with its name, uint8 [16,64,64,3]."""
    from vpbench.data.puppets.dataset import Puppets
    from vpbench.harness.references.trivial import blur

    dataset = Puppets({}, None, home)
    dataset.prepare()
    for i, clip in enumerate(dataset.clips("train")):
        frames = dataset.read(clip, range(GIVEN + FRAMES))
        future = frames[GIVEN:]
        if i < COUNTS["real"]:
            yield f"real/{i}", future
        if i < COUNTS["copy-last"]:
            yield f"copy-last/{i}", np.repeat(frames[GIVEN - 1 : GIVEN], FRAMES, axis=0)
        if i < COUNTS["blurred"]:
            yield f"blurred/{i}", blur(future, BLUR)


def main() -> None:
    """Make the features, and print the distances of the populations."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.population")
    parser.add_argument("weights", type=Path, help="I3D as safetensors")
    for kind, population in puppets(parser.parse_args().weights).items():
        print(f"{kind}: {len(population.real)} clips, FVD without end {population.distance():.1f}")


if __name__ == "__main__":
    main()
