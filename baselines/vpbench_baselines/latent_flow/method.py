"""The method: predicts, and trains, saves and loads its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpbench.api import Conditioning, FitContext, Frames, Seeds, TaskInfo, TrainView, UsageError
from vpbench.kit import (
    load_weights,
    normal,
    require_at_least,
    require_one_of,
    save_weights,
    seeded,
    to_tensor,
    to_uint8,
)
from vpbench_baselines.common.averaged import AveragedTraining
from vpbench_baselines.common.blocks import HEAD
from vpbench_baselines.common.checks import check_redrawn, check_samples
from vpbench_baselines.common.notes import note_reference, preset_of
from vpbench_baselines.common.windows import Source, Windows, augmented, some_frames
from vpbench_baselines.latent_flow.networks import Codec, FlowNet, integrate
from vpbench_baselines.latent_flow.spec import PARAMS, PRESETS, STAGES

_COUNTS = ("width", "latent", "codec_steps", "codec_batch", "depth", "tube", "steps", "batch")
_FRAMES, _MOST_CLIPS, _UNLABELLED = 16, 96, 0.1
"""Frames drawn at once, validation clips looked at, part of training clips shown without label."""


class LatentFlow:
    """Codes of all future frames at once, by flow matching, drawn over the given frame."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        require_one_of(params, {"precision": ("fp32", "bf16"), "label": ("on", "off")})
        require_at_least(params, {**dict.fromkeys(_COUNTS, 1), "sampler_steps": 1, "hidden": HEAD})
        require_at_least(params, {"pool": 0, "dropout": 0})
        if params["hidden"] % HEAD or params["dropout"] >= 1:
            raise UsageError(f"hidden must be a multiple of {HEAD}, and dropout below 1.")
        self.task, self.p, self.device = task, dict(params), "cpu"
        tube = self.p["tube"]  # shorter futures are filled up to whole tokens
        self.length = -(-min(_FRAMES, task.horizon) // tube) * tube
        self.codec, self.flow = self._new(0)

    def _new(self, seed: int) -> tuple[Codec, FlowNet]:
        """Networks with their first weights."""
        p, classes = self.p, self.task.n_classes if self.p["label"] == "on" else 0
        sizes = (p["width"], p["hidden"], p["depth"], p["tube"], p["dropout"])
        with seeded(seed):
            codec, flow = Codec(p["width"], p["latent"]), FlowNet(p["latent"], classes, *sizes)
        for net in (codec, flow):
            net.eval().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return codec, flow

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """Draw each sample of each clip by itself, so that nothing depends on the batch.

        Args:
            given: the last given frame is used, and the label where there is one.
            horizon: T; more frames than are drawn at once continue from the last one.
            seeds: int64 [B,S].

        Returns:
            uint8 [B,S,T,H,W,3].
        """
        clips: list[Frames] = []
        with torch.inference_mode():
            for b, row in enumerate(seeds.tolist()):
                label = torch.tensor([-1 if given.label is None else int(given.label[b])])
                first = to_tensor(given.frames[b : b + 1, -1], self.device)
                futures = [self._future(first, label, seed, horizon)[0] for seed in row]
                clips.append(to_uint8(torch.stack(futures)))
        return np.stack(clips)

    def _future(self, first: Tensor, label: Tensor, seed: int, horizon: int = _FRAMES) -> Tensor:
        """Frames [1,T,3,H,W] after a frame [1,3,H,W] with a label [1]."""
        pieces: list[Tensor] = []
        size = (self.length, self.p["latent"], first.shape[2] // 8, first.shape[3] // 8)
        for noise in normal([seed], (-(-horizon // self.length), *size), self.device).unbind(1):
            pieces.append(self.codec.decode(first, self._codes_from(noise, first, label)))
            first = pieces[-1][:, -1]
        return torch.cat(pieces, 1)[:, :horizon]

    def _codes_from(self, noise: Tensor, first: Tensor, label: Tensor) -> Tensor:
        seen, known = self.flow.see(first), self._classes(label.to(self.device))
        guidance = float(self.p["guidance"])

        def velocity(codes: Tensor, time: float) -> Tensor:
            at = torch.full((1,), time, device=codes.device)
            labelled = self.flow(codes, at, seen, known)
            if guidance == 1:
                return labelled
            none = torch.full_like(known, self.flow.classes)
            return torch.lerp(self.flow(codes, at, seen, none), labelled, guidance)

        return integrate(velocity, noise, int(self.p["sampler_steps"]))

    def _classes(self, label: Tensor) -> Tensor:
        """Rows of the embedding for labels, -1 where there is none."""
        none = self.flow.classes
        return torch.where((label < 0) | (label >= none), none, label)

    def fit(self, stage: str, data: TrainView, ctx: FitContext) -> None:
        """Train a stage, keep the weights that are best on validation clips, and check these."""
        p, self.device, (codec, flow) = self.p, ctx.device, self._new(ctx.seed)
        source = Source(data, ctx, 1 + min(self.length, ctx.task.horizon), p["pool"])
        held_out = source.held_out(ctx, _MOST_CLIPS)
        steps, lower = ("codec_steps", "codec_batch") if stage == "codec" else ("steps", "batch")
        rates = (p[steps], p["rate"], p["precision"])
        training = AveragedTraining(f"latent-flow:{stage}", ctx, *rates, held_out, (lower, "pool"))
        if stage == "codec":
            made = training.run(codec.to(ctx.device), self._codec_losses, source, p[lower])
            self.codec = made or codec
        else:
            self.codec.to(ctx.device)
            made = training.run(flow.to(ctx.device), self._flow_losses, source, p[lower])
            self.flow = made or flow
        if made is not None:
            self._report(stage, held_out, ctx)

    def _report(self, stage: str, held_out: Windows | None, ctx: FitContext) -> None:
        params = next(s.params for s in STAGES if s.name == stage)
        steps = int(self.p["codec_steps" if stage == "codec" else "steps"])
        note_reference(ctx, preset_of(self.p, PARAMS, PRESETS, params), self.length, steps)
        with torch.inference_mode():
            if held_out is None:
                ctx.note("no validation clip is long enough: acceptance checks not measured")
            elif stage == "codec":
                check_redrawn(
                    held_out, lambda v: self.codec.decode(v[:, 0], self._codes(v, False)), ctx
                )
            else:
                check_samples(held_out, self._future, ctx)

    def _codec_losses(self, codec: Codec, windows: Windows) -> dict[str, Tensor]:
        few = windows._replace(frames=some_frames(windows.frames, 4))
        return codec.losses(augmented(few.frames) if codec.training else few.video)

    def _flow_losses(self, flow: FlowNet, windows: Windows) -> dict[str, Tensor]:
        label = self._classes(windows.label)
        video = augmented(windows.frames) if flow.training else windows.video
        if flow.training:
            hidden = torch.rand(len(label)).to(label.device) < _UNLABELLED
            label = torch.where(hidden, flow.classes, label)
        return flow.losses(video[:, 0], self._codes(video), label)

    @torch.no_grad()
    def _codes(self, video: Tensor, fill: bool = True) -> Tensor:
        """Codes [B,T,C,h,w] of the frames [B,1+T,3,H,W] after the first, T filled up."""
        codes = self.codec.encode(video[:, 0], video[:, 1:])
        more = self.length - codes.shape[1] if fill else 0
        return torch.cat([codes, codes[:, -1:].expand(-1, more, -1, -1, -1)], 1)

    def save(self, stage: str, folder: Path) -> None:
        """Write the stage's network in compact precision."""
        save_weights(self.codec if stage == "codec" else self.flow, Path(folder))

    def load(self, stage: str, folder: Path, device: str) -> None:
        """Read what a stage has saved."""
        self.device = device
        load_weights(self.codec if stage == "codec" else self.flow, Path(folder), device)
