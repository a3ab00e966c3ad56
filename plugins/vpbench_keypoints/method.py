"""'ours': the keypoint method of Kim et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from vpbench.api import FitContext, KeypointView, Refused, TrainView
from vpbench.kit import ComposedMethod
from vpbench_keypoints.first_stage import FirstStage
from vpbench_keypoints.schedule import SMOKE_STEPS
from vpbench_keypoints.second_stage import SecondStage


class KeypointMethod(ComposedMethod):
    """Detects keypoints in one image, predicts their motion, redraws the image."""

    trains: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "keypoints": ("detector", "translator"),
        "motion": ("motion",),
    }

    def fit(self, stage: str, data: TrainView, ctx: FitContext) -> None:
        """Train one stage; stops soon, with its state stored, once `ctx.should_stop` is true."""
        parts = self.begin(stage, ctx)
        if min(self.params["steps"], self.params["motion_steps"]) < SMOKE_STEPS:
            ctx.not_comparable("a few training steps only")
        if stage == "motion":
            SecondStage(parts["motion"], cast(KeypointView, data), ctx).run()
        else:
            if "translator" not in parts:
                raise Refused(
                    "the detector of 'ours' learns together with its own translator only.",
                    fix="Leave the slot translator as it is, or put another detector in too.",
                )
            FirstStage(ctx.component("detector"), parts["translator"], data, ctx).run()
