"""The tiny method with parts that can be looked at: a translator with a mask, and an oracle."""

import sys
from pathlib import Path

import numpy as np

from vpbench.api import Capabilities, ComponentSpec, MethodSpec
from vpbench.core.loading import load_object

HERE = __file__
TINY = str(Path(HERE).with_name("tiny_method.py"))
PARAMS = {"width": 8, "points": 4, "steps": 6, "batch": 4, "pause": 0.0, "every": 2}

MASKED = ComponentSpec(
    "tiny-masked",
    "translator",
    f"{HERE}:Masked",
    "a translator that shows mask and coarse image",
    space=("points", "unsupervised"),
    params=PARAMS,
    trained_by="tiny:keypoints",
)
ORACLE = MethodSpec(
    "tiny-oracle",
    f"{HERE}:Oracle",
    "the true keypoints through the translator",
    capabilities=Capabilities((1, 2), oracle=True, size_multiple=4),
    kind="oracle",
    params=PARAMS,
    slots={"detector": "tiny-detector", "translator": "tiny-translator"},
)
GREEDY = MethodSpec(
    "greedy", f"{HERE}:Plain", "wants two frames", capabilities=Capabilities((2, 2))
)
JOINTED = MethodSpec(
    "jointed", f"{HERE}:Plain", "wants joints", capabilities=Capabilities(pose="required")
)
CHATTY = MethodSpec("chatty", f"{HERE}:Chatty", "prints, and has intermediates of wrong shapes")


class Plain:
    def __init__(self, task, params, slots):
        pass

    def predict(self, given, horizon, seeds):
        return np.repeat(given.frames[:, -1:, None], horizon, 2).repeat(seeds.shape[1], 1)


class Chatty(Plain):
    def predict(self, given, horizon, seeds):
        sys.stdout.write("{chatter}\n")
        return super().predict(given, horizon, seeds)

    def intermediates(self, given, horizon, seeds):
        return {"keypoints": np.zeros((1, 1, 2, 2))}


def __getattr__(name):
    """The torch half loads on first use."""
    if name == "Masked":
        import torch

        base = load_object(f"{TINY}:Translator")

        class Masked(base):
            def intermediates(self, frame, source, target):
                final = self.render(frame, source, target)
                mask = 1 - self._maps(target, frame.shape[-1]).amax(2, keepdim=True)
                coarse = (frame.mean((2, 3), keepdim=True)[:, None] + 0.0 * final).clamp(0, 1)
                flow = torch.zeros_like(final)[:, :, :2]
                return {"mask": mask, "coarse": coarse, "flow": flow}

            def render(self, frame, source, target):
                final = super().render(frame, source, target)
                spot = self._maps(target, frame.shape[-1]).amax(2, keepdim=True)
                return (final * (1 - spot) + spot * frame[:, None].flip(2)).clamp(0, 1)

        return Masked
    if name == "Oracle":
        from vpbench.kit import ComposedMethod, to_tensor

        class Told:
            def __init__(self):
                self.points = None

            def rollout(self, keypoints, label, horizon, seeds):
                return self.points

        class Oracle(ComposedMethod):
            def __init__(self, task, params, slots):
                super().__init__(task, params, {**slots, "motion": Told()})

            def predict(self, given, future, horizon, seeds):
                self._listen(future)
                return super().predict(given, horizon, seeds)

            def intermediates(self, given, future, horizon, seeds):
                self._listen(future)
                return super().intermediates(given, horizon, seeds)

            def _listen(self, future):
                self.slots["motion"].points = self.slots["detector"].detect(to_tensor(future), None)

        return Oracle
    raise AttributeError(name)
