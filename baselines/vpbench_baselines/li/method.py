"""The method: predicts, and trains, saves and loads its stages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vpbench.api import Conditioning, FitContext, Frames, Refused, Seeds, TaskInfo, TrainView
from vpbench.kit import load_weights, normal, round_weights, save_weights, to_tensor, to_uint8
from vpbench_baselines.common.notes import note_stage, preset_of
from vpbench_baselines.li.flow_model import FRAMES
from vpbench_baselines.li.params import PARAMS, PRESETS, STAGES
from vpbench_baselines.li.refiner import Refiner, warp, warped
from vpbench_baselines.li.settings import Settings
from vpbench_baselines.li.teachers import Teacher, make_teacher
from vpbench_baselines.li.training import Trainer, new_flow_model, new_refiner, open_store
from vpbench_baselines.li.validation import validate_flow, validate_refiner


class Li:
    """Flow from one image and one code, then frames from flow (Li et al. 2018).

    With oracle=on an object is a `LiOracle`, whose `predict` is given the true future.
    """

    def __new__(cls, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> Li:
        """The class that the parameter `oracle` asks for."""
        return object.__new__(LiOracle if params.get("oracle") == "on" else cls)

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task, self.params = task, dict(params)
        self.settings = Settings.of(params)
        self.device = "cpu"
        self.generator, _ = new_flow_model(self.settings, task.size, 0)
        self.refiner: Refiner = new_refiner(self.settings, 0)

    # -- prediction ---------------------------------------------------------------------------

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """Draw sixteen flows at once, then frame after frame; continue from the last frame.

        Args:
            given: the last given frame is used.
            horizon: T; more than 16 frames are made in pieces, each with a code of its own.
            seeds: int64 [B,S].

        Returns:
            uint8 [B,S,T,H,W,3].
        """
        with torch.inference_mode():
            samples = [self._video(given, horizon, seeds[:, s])[0] for s in range(seeds.shape[1])]
            return np.stack([to_uint8(video) for video in samples], axis=1)

    def intermediates(
        self, given: Conditioning, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """For pictures.

        Returns:
            coarse: the frame before, warped by the flow, uint8 [B,S,T,H,W,3]; flow: px, float32
            [B,S,T,H,W,2]; final: as `predict`.
        """
        samples: dict[str, list[npt.NDArray[Any]]] = {"coarse": [], "flow": [], "final": []}
        with torch.inference_mode():
            first = to_tensor(given.frames[:, -1:], self.device)
            for s in range(seeds.shape[1]):
                video, flows = self._video(given, horizon, seeds[:, s])
                before = torch.cat([first, video[:, :-1]], 1)
                coarse = warp(before.flatten(0, 1), flows.flatten(0, 1)).view_as(video)
                samples["coarse"].append(to_uint8(coarse))
                samples["flow"].append(flows.movedim(2, -1).cpu().numpy())
                samples["final"].append(to_uint8(video))
        return {name: np.stack(values, axis=1) for name, values in samples.items()}

    def _video(
        self, given: Conditioning, horizon: int, seeds: npt.NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        """Frames [B,T,3,H,W], not clipped, and their flows [B,T,2,H,W]."""
        self.generator.eval()
        self.refiner.eval()
        frame = to_tensor(given.frames[:, -1], self.device)
        pieces = -(-horizon // FRAMES)
        codes = normal(seeds, (pieces, self.settings.latent), self.device)
        videos: list[Tensor] = []
        motion: list[Tensor] = []
        for piece in range(pieces):
            flows = self.generator(frame, codes[:, piece])[:, : horizon - piece * FRAMES]
            videos.append(self._drawn(frame, flows))
            motion.append(flows)
            frame = videos[-1][:, -1]
        return torch.cat(videos, 1), torch.cat(motion, 1)

    def _drawn(self, frame: Tensor, flows: Tensor) -> Tensor:
        """Frames [B,T,3,H,W] along flows [B,T,2,H,W], each from the one before."""
        if self.settings.refiner == "off":
            return warped(frame, flows)
        if self.settings.recursion == "on":
            return self.refiner.rollout(frame, flows)
        before = torch.cat([frame[:, None], warped(frame, flows)[:, :-1]], 1)
        return self.refiner(before.flatten(0, 1), flows.flatten(0, 1)).view_as(before)

    # -- stages -------------------------------------------------------------------------------

    def fit(self, stage: str, data: TrainView, ctx: FitContext) -> None:
        """Train a stage, then check its figures on validation clips against their bounds."""
        self.device = ctx.device
        s = self.settings
        store = open_store(s, data, ctx)
        trainer = Trainer(s, store, ctx)
        if stage == "flow":
            self.generator, posterior = new_flow_model(s, self.task.size, ctx.seed)
            self.generator.to(ctx.device)
            done = trainer.flow(self.generator, posterior.to(ctx.device))
            round_weights(self.generator)
        else:
            posterior = None
            self.refiner = new_refiner(s, ctx.seed).to(ctx.device)
            done = trainer.refiner(self.refiner)
            round_weights(self.refiner)
        if not done:
            return
        spec = next(x for x in STAGES if x.name == stage)
        steps = s.steps if stage == "flow" else s.refiner_steps
        note_stage(ctx, preset_of(self.params, PARAMS, PRESETS, spec.params), 1, steps)
        if posterior is not None:
            if ctx.task.horizon > FRAMES:
                ctx.note("chained")
            validate_flow(s, self.generator, posterior, store, ctx)
        else:
            validate_refiner(s, self.refiner, store, ctx)

    def save(self, stage: str, folder: Path) -> None:
        """Write the stage's network in compact precision; the posterior encoder is not kept."""
        save_weights(self.generator if stage == "flow" else self.refiner, Path(folder))

    def load(self, stage: str, folder: Path, device: str) -> None:
        """Read what a stage has saved."""
        self.device = device
        load_weights(self.generator if stage == "flow" else self.refiner, Path(folder), device)


class LiOracle(Li):
    """Draws along the teacher's flow of the true future: what the refiner, or a warp, can do."""

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> Frames:
        """uint8 [B,S,T,H,W,3]; every sample is the same."""
        return self.intermediates(given, future, horizon, seeds)["final"]

    def intermediates(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """For pictures: flow, px, float32 [B,S,T,H,W,2]; final, uint8 [B,S,T,H,W,3]."""
        frames = np.concatenate([given.frames[:, -1:], future], 1)
        teacher = self._teacher()
        flows = np.stack([teacher.between(clip[1:], clip[:-1]) for clip in frames])
        with torch.inference_mode():
            self.refiner.eval()
            first = to_tensor(frames[:, 0], self.device)
            video = self._drawn(first, torch.from_numpy(flows).to(self.device))
        parts = {"flow": np.moveaxis(flows, 2, -1), "final": to_uint8(video)}
        return {k: np.repeat(v[:, None], seeds.shape[1], axis=1) for k, v in parts.items()}

    def _teacher(self) -> Teacher:
        """The flow's teacher. OpenCV, when it is imported, adds its folder to a search path."""
        before = os.environ.get("LD_LIBRARY_PATH")
        teacher = make_teacher(self.settings.teacher, _no_weights, self.device)
        if before is None:
            os.environ.pop("LD_LIBRARY_PATH", None)
        else:
            os.environ["LD_LIBRARY_PATH"] = before
        return teacher


def _no_weights(name: str) -> Path:
    raise Refused(f"li: {name} cannot be had while predicting.")
