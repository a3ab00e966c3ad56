"""The method: predicts, and trains, saves and loads its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vpbench.api import Conditioning, FitContext, Frames, Seeds, TaskInfo, TrainView
from vpbench.kit import (
    load_weights,
    normal,
    round_weights,
    save_weights,
    seeded,
    to_tensor,
    to_uint8,
)
from vpbench_baselines.common.notes import note_stage, preset_of
from vpbench_baselines.wichers.params import PARAMS, PRESETS, STAGES
from vpbench_baselines.wichers.settings import MOST_GIVEN, Networks, Settings, start_from_vgg
from vpbench_baselines.wichers.training import Trainer
from vpbench_baselines.wichers.validation import validate

_AT_ONCE = 8
"""Frames of a clip that are drawn at once: bounds the memory of long horizons."""


class Wichers:
    """EPVA with an adversary on encodings (Wichers et al. 2018), and its two variants.

    With oracle=on an object is a `WichersOracle`, whose `predict` is given the true future.
    """

    def __new__(
        cls, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]
    ) -> Wichers:
        """The class that the parameter `oracle` asks for."""
        return object.__new__(WichersOracle if params.get("oracle") == "on" else cls)

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task, self.params = task, dict(params)
        self.settings = Settings.of(params)
        self.device = "cpu"
        noisy = self.settings.variant == "adversarial"
        self.networks = self._networks(0, self.settings.noise if noisy else 0)

    def _networks(self, seed: int, noise: int) -> Networks:
        with seeded(seed):
            networks = Networks(self.settings, self.task.size, noise, self.task.n_classes)
        # what a CPU convolves fastest; on a GPU it does no harm
        return networks.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    # -- prediction ---------------------------------------------------------------------------

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """Encode the given frames, predict the encodings that follow, draw them.

        Args:
            given: 1 to 5 frames, of which the first is the source of all pixels.
            horizon: T.
            seeds: int64 [B,S]; used by the adversarial variant alone.

        Returns:
            uint8 [B,S,T,H,W,3].
        """
        with torch.inference_mode():
            self.networks.eval()
            return np.stack(
                [to_uint8(self._video(given, horizon, seeds[:, s])) for s in range(seeds.shape[1])],
                axis=1,
            )

    def intermediates(
        self, given: Conditioning, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """For pictures: mask, what is drawn under it, and the result, uint8 [B,S,T,H,W,3]."""
        samples: dict[str, list[Frames]] = {"mask": [], "coarse": [], "final": []}
        with torch.inference_mode():
            self.networks.eval()
            for s in range(seeds.shape[1]):
                frame, code, codes = self._rollout(given, horizon, seeds[:, s])
                drawn, mask = self.networks.decoder.coarse_and_mask(frame, code, codes)
                samples["mask"].append(to_uint8(mask.expand_as(drawn)))
                samples["coarse"].append(to_uint8(drawn))
                samples["final"].append(to_uint8(mask * drawn + (1 - mask) * frame[:, None]))
        return {name: np.stack(values, axis=1) for name, values in samples.items()}

    def _rollout(
        self, given: Conditioning, horizon: int, seeds: npt.NDArray[np.int64]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """First frame, its encoding, and the encodings of the T frames after the given ones."""
        frames = to_tensor(given.frames[:, -MOST_GIVEN:], self.device)
        n, unit = frames.shape[1], self.settings.unit(self.settings.variant)
        codes = self.networks.encoder(frames, unit)
        predictor = self.networks.predictor
        noise = None
        if predictor.noise:
            noise = normal(seeds, (n - 1 + horizon, predictor.noise), self.device)
        label = None if given.label is None else torch.from_numpy(np.array(given.label))
        action = self.settings.actions(label, len(frames), self.task.n_classes).to(self.device)
        # frames 1 .. n-1 are given: what the predictor says about them is not returned
        continued = predictor(codes, n - 1 + horizon, noise, unit, action)[:, n - 1 :]
        return frames[:, 0], codes[:, 0], continued

    def _video(self, given: Conditioning, horizon: int, seeds: npt.NDArray[np.int64]) -> Tensor:
        frame, code, codes = self._rollout(given, horizon, seeds)
        parts = [self.networks.decoder(frame, code, part) for part in codes.split(_AT_ONCE, 1)]
        return torch.cat(parts, 1)

    # -- stages -------------------------------------------------------------------------------

    def fit(self, stage: str, data: TrainView, ctx: FitContext) -> None:
        """Train a stage, then check its figures on validation clips against their bounds."""
        self.device = ctx.device
        self._begin(stage, ctx)
        trainer = Trainer(self.settings, self.networks, data, ctx)
        trainings = {
            "epva": trainer.epva,
            "e2e": trainer.e2e,
            "adversarial": trainer.adversarial,
        }
        finished = trainings[stage]()
        round_weights(self.networks)
        if finished:
            spec = next(s for s in STAGES if s.name == stage)
            s = self.settings
            steps = s.adversarial_steps if stage == "adversarial" else s.steps
            preset = preset_of(self.params, PARAMS, PRESETS, spec.params)
            note_stage(ctx, preset, MOST_GIVEN, steps)
            validate(stage, self.settings, self.networks, data, ctx)

    def _begin(self, stage: str, ctx: FitContext) -> None:
        """The networks as the stage finds them."""
        if stage == "adversarial":  # `load` has brought the first stage's; the noise is new
            fresh = self._networks(ctx.seed, self.settings.noise)
            fresh.load_state_dict(self._without_noise(), strict=False)
            self.networks = fresh
        else:
            self.networks = self._networks(ctx.seed, 0)
            if self.settings.encoder_init == "vgg16-hed":
                start_from_vgg(self.networks.encoder, ctx.weights("vgg16-hed"))
        self.networks.to(ctx.device)

    def _without_noise(self) -> dict[str, Tensor]:
        state = self.networks.state_dict()
        return {k: v for k, v in state.items() if not k.startswith(_NEW)}

    def save(self, stage: str, folder: Path) -> None:
        """Write the three networks in compact precision; the critic is not kept."""
        save_weights(self.networks, Path(folder))

    def load(self, stage: str, folder: Path, device: str) -> None:
        """Read what a stage has saved."""
        self.device = device
        new = _NEW if self.networks.predictor.noise and stage != "adversarial" else ()
        load_weights(self.networks, Path(folder), device, new)


class WichersOracle(Wichers):
    """Draws the encodings of the true future: what encoder and analogy network alone can do."""

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> Frames:
        """uint8 [B,S,T,H,W,3]; every sample is the same."""
        with torch.inference_mode():
            self.networks.eval()
            unit = self.settings.unit(self.settings.variant)
            first = to_tensor(given.frames[:, -MOST_GIVEN:][:, :1], self.device)
            code = self.networks.encoder(first, unit)[:, 0]
            codes = self.networks.encoder(to_tensor(future, self.device), unit)
            parts = [self.networks.decoder(first[:, 0], code, p) for p in codes.split(_AT_ONCE, 1)]
            return np.repeat(to_uint8(torch.cat(parts, 1))[:, None], seeds.shape[1], axis=1)

    def intermediates(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """For pictures: the result, uint8 [B,S,T,H,W,3]."""
        return {"final": self.predict(given, future, horizon, seeds)}


_NEW = ("predictor.shake.",)
"""Weights that the second stage adds."""
