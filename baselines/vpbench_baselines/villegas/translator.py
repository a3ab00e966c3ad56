"""The generator of `villegas` as a translator component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vpbench.api import Corrupt, FitContext, TaskInfo, TrainView
from vpbench.kit import load_state, load_weights, round_weights, save_state, save_weights
from vpbench_baselines.villegas.drawer import AnalogyDrawer
from vpbench_baselines.villegas.maps import LIMB_MAPS, has_limbs
from vpbench_baselines.villegas.params import TRANSLATOR, TRANSLATOR_PRESETS
from vpbench_baselines.villegas.settings import note_finished
from vpbench_baselines.villegas.training import GeneratorTraining
from vpbench_baselines.villegas.validation import check_generator

_KIND = "maps"
"""Folder beside the weights of a generator whose 48 maps are not those along the limbs. Without
it 48 maps are, wherever joints have limbs."""


class AnalogyTranslator(AnalogyDrawer):
    """Draws, and trains, saves and loads; `factory(task, params, space)` of a translator."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__(task, params)

    def fit(self, data: TrainView, ctx: FitContext) -> None:
        """Train on pairs of frames with the poses that belong to them, the detector being frozen.

        Raises:
            BadData: the detector finds joints and a clip has none.
        """
        training = GeneratorTraining(self, data, ctx)
        if training.run() and self.net is not None:
            round_weights(self.net)
            note_finished(ctx, self.params, TRANSLATOR, TRANSLATOR_PRESETS, 1)
            check_generator(self, training.poses, data, ctx)

    def save(self, folder: Path) -> None:
        """Write the weights, matrices in half precision, and what they do not tell of the maps."""
        if self.net is None:
            return
        save_weights(self.net, folder)
        if self._could_be_limbs(self.net.pose[0].in_channels) and not self.limbs:  # pyright: ignore[reportArgumentType]
            save_state(Path(folder) / _KIND, {"limbs": False})

    def load(self, folder: Path, device: str) -> None:
        """Read the weights, and with them how many maps there are and of which kind."""
        enter = load_state(folder).get("pose.0.weight")
        if enter is None:
            raise Corrupt(f"{folder} does not hold a generator.", fix="Delete its stage folder.")
        count = enter.shape[1]
        kind = Path(folder) / _KIND
        limbs = load_state(kind)["limbs"] if kind.is_dir() else self._could_be_limbs(count)
        load_weights(self.reset(count, limbs, 0), folder, device)

    def _could_be_limbs(self, count: int) -> bool:
        return count == LIMB_MAPS and has_limbs(self.task.joint_names)
