"""A method made of three parts: detect keypoints, predict their motion, render frames."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vpbench.api import (
    Capabilities,
    Component,
    Conditioning,
    Corrupt,
    FitContext,
    Frames,
    MethodFailed,
    Need,
    Refused,
    Seeds,
    TaskInfo,
    UnknownName,
    UsageError,
)
from vpbench.kit.tensors import pose_to_tensor, to_tensor, to_uint8

_WORK = {"detector": "detect", "motion": "rollout", "translator": "render"}
"""The slots of a composed method and what a component in each must be able to do."""


class ComposedMethod:
    """Detector, motion model and translator as one `Method`; a plugin adds only `fit`.

    A component may carry `capabilities`: a pose, or a label, is passed to it where they say
    "required" or "optional". Without them it gets the label and no pose. Components that are torch
    modules, or hold some as attributes, predict in evaluation mode, on whatever device they
    lie.

    Attributes:
        trains: stage -> slots whose components it trains, as in the method's StageSpecs. Subclasses
            set it; left empty, every stage trains all slots that can be trained.
        task, params, slots: as given.
        device: where `load` or `begin` last put the components.
    """

    trains: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Component]
    ) -> None:
        name = type(self).__name__
        for slot, verb in _WORK.items():
            if slot not in slots:
                raise Refused(
                    f"{name} has no {slot}: all of detect, rollout and render are needed.",
                    fix=f"Fill the slot {slot!r}, or implement Method without ComposedMethod.",
                )
            if not callable(getattr(slots[slot], verb, None)):
                kind = type(slots[slot]).__name__
                raise UsageError(f"{kind} in the slot {slot!r} of {name} has no {verb}().")
        self.task = task
        self.params = dict(params)
        self.slots: dict[str, Any] = dict(slots)
        self.device = "cpu"
        self._begun: dict[str, tuple[str, ...]] = {}

    # -- prediction ---------------------------------------------------------------------------

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """Predict S futures of B clips; sample s of clip b depends on `seeds[b, s]` alone.

        Args:
            given: the given frames; keypoints are detected on all, the last one is rendered.
            horizon: T, number of frames to predict.
            seeds: int64 [B,S].

        Returns:
            uint8 [B,S,T,H,W,3].

        Raises:
            Refused: a component requires a label or pose that is not given.
            MethodFailed: a component returned the wrong shape, or NaN.
        """
        with torch.inference_mode(), evaluating(self.slots.values()):
            scene = self._look(given, seeds)
            samples = [
                to_uint8(self._render(scene, self._rollout(scene, given, horizon, seeds[:, s])))
                for s in range(seeds.shape[1])
            ]
        return np.stack(samples, axis=1)

    def intermediates(
        self, given: Conditioning, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """How the frames come about, for pictures.

        Returns:
            keypoints float32 [B,S,n+T,K,3] of given and predicted frames; final uint8
            [B,S,T,H,W,3]; and what the translator's `intermediates(frame, source, target)` returns,
            if it has one: of its tensors [B,T,C,H,W], those with one or three channels (mask,
            coarse) as uint8 [B,S,T,H,W,3], others (flow) as float32 [B,S,T,H,W,C]; the rest
            unchanged with an axis S after the first.
        """
        samples: dict[str, list[npt.NDArray[Any]]] = {}
        explain: Any = getattr(self.slots["translator"], "intermediates", None)
        with torch.inference_mode(), evaluating(self.slots.values()):
            scene = self._look(given, seeds)
            for s in range(seeds.shape[1]):
                target = self._rollout(scene, given, horizon, seeds[:, s])
                parts: dict[str, Any] = {}
                if explain is not None:
                    arguments = self._on("translator", scene.frame, scene.points[:, -1], target)
                    parts = {name: _picture(value) for name, value in explain(*arguments).items()}
                path = torch.cat([scene.points.cpu().float(), target.cpu().float()], dim=1)
                parts["keypoints"] = path.numpy()
                parts["final"] = to_uint8(self._render(scene, target))
                for name, value in parts.items():
                    samples.setdefault(name, []).append(value)
        return {name: np.stack(values, axis=1) for name, values in samples.items()}

    def _look(self, given: Conditioning, seeds: Seeds) -> _Scene:
        if given.frames.ndim != 5 or seeds.ndim != 2 or len(seeds) != len(given) or not seeds.size:
            raise UsageError(
                f"frames {list(given.frames.shape)} and seeds {list(seeds.shape)} must be "
                "[B,n,H,W,3] and [B,S]."
            )
        frames = to_tensor(given.frames)
        pose = pose_to_tensor(given.pose) if self._wants("detector", "pose", given.pose) else None
        points = self.slots["detector"].detect(*self._on("detector", frames, pose))
        k = points.shape[-2] if points.ndim == 4 else 0
        self._expect("detector", points, (*frames.shape[:2], k, 3))
        return _Scene(frames[:, -1], points)

    def _rollout(
        self, scene: _Scene, given: Conditioning, horizon: int, seeds: npt.NDArray[np.int64]
    ) -> Tensor:
        label = None
        if self._wants("motion", "label", given.label) and given.label is not None:
            label = torch.from_numpy(np.array(given.label, dtype=np.int64))
        own_seeds = torch.from_numpy(np.array(seeds, dtype=np.int64))
        points, label, own_seeds = self._on("motion", scene.points, label, own_seeds)
        target = self.slots["motion"].rollout(points, label, horizon, own_seeds)
        self._expect("motion", target, (len(points), horizon, *points.shape[2:]))
        return target

    def _render(self, scene: _Scene, target: Tensor) -> Tensor:
        arguments = self._on("translator", scene.frame, scene.points[:, -1], target)
        video = self.slots["translator"].render(*arguments)
        self._expect("translator", video, (*target.shape[:2], *scene.frame.shape[1:]))
        return video

    def _wants(self, slot: str, what: str, value: object) -> bool:
        """Whether the component in `slot` is given the label or the pose."""
        capabilities: Capabilities | None = getattr(self.slots[slot], "capabilities", None)
        if capabilities is None:
            return what == "label"
        need: Need = getattr(capabilities, what)
        if need == "required" and value is None:
            raise Refused(f"{type(self.slots[slot]).__name__} needs a {what}, none is given.")
        return need in ("required", "optional")

    def _on(self, slot: str, *values: Tensor | None) -> tuple[Any, ...]:
        """The values on the device of the component in `slot`."""
        device = next(
            (t.device for m in modules_of(self.slots[slot]) for t in _tensors(m)), self.device
        )
        return tuple(None if v is None else v.to(device) for v in values)

    def _expect(self, slot: str, value: Any, shape: tuple[int, ...]) -> None:
        if not isinstance(value, Tensor) or tuple(value.shape) != shape:
            got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise MethodFailed(
                f"{type(self.slots[slot]).__name__} in the slot {slot!r} returned {got}, "
                f"{list(shape)} is expected."
            )

    # -- stages -------------------------------------------------------------------------------

    def begin(self, stage: str, ctx: FitContext) -> dict[str, Any]:
        """Call first in `fit`: the components to train, moved to `ctx.device`.

        `ctx.trains` leaves out slots that hold a frozen foreign component; `save` then leaves them
        out as well.
        """
        self._begun[stage] = tuple(ctx.trains)
        self._move(ctx.device)
        return {slot: self.slots[slot] for slot in ctx.trains}

    def trained(self, stage: str) -> tuple[str, ...]:
        """Slots whose components `stage` trains.

        Raises:
            UnknownName: `trains` is set and does not name the stage.
        """
        if stage in self._begun:
            return self._begun[stage]
        if not self.trains:
            return tuple(slot for slot, part in self.slots.items() if _trainable(part))
        if stage not in self.trains:
            raise UnknownName("stage", stage, self.trains)
        return self.trains[stage]

    def save(self, stage: str, folder: Path) -> None:
        """Write every component that the stage trains into `folder/<slot>`."""
        for slot in self.trained(stage):
            if not callable(getattr(self.slots.get(slot), "save", None)):
                raise UsageError(
                    f"stage {stage!r} trains the slot {slot!r}, which cannot be saved."
                )
            target = Path(folder) / slot
            target.mkdir(parents=True, exist_ok=True)
            self.slots[slot].save(target)

    def load(self, stage: str, folder: Path, device: str) -> None:
        """Read every component that `folder` holds; all components move to `device`.

        Raises:
            Corrupt: the stage trains components and the folder holds none.
        """
        expected = self.trained(stage)
        present = [slot for slot in self.slots if (Path(folder) / slot).is_dir()]
        if expected and not present:
            raise Corrupt(f"{folder} holds none of {', '.join(expected)} of stage {stage!r}.")
        for slot in present:
            self.slots[slot].load(Path(folder) / slot, device)
        self._move(device)

    def _move(self, device: str) -> None:
        self.device = device
        for part in self.slots.values():
            for module in modules_of(part):
                module.to(device)


class _Scene:
    """What is known before anything is predicted: last frame [B,3,H,W], keypoints [B,n,K,3]."""

    def __init__(self, frame: Tensor, points: Tensor) -> None:
        self.frame = frame
        self.points = points


def modules_of(component: object) -> list[nn.Module]:
    """The component itself if it is a torch module, else the modules among its attributes."""
    if isinstance(component, nn.Module):
        return [component]
    return [v for v in getattr(component, "__dict__", {}).values() if isinstance(v, nn.Module)]


@contextlib.contextmanager
def evaluating(components: Any) -> Generator[None]:
    """Put all modules of the components into evaluation mode; restore each one's mode after."""
    modes = [
        (m, m.training) for part in components for top in modules_of(part) for m in top.modules()
    ]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, training in modes:
            module.training = training


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _trainable(component: object) -> bool:
    """Unknown counts as yes: a folder too many is harmless, lost training is not."""
    if not all(callable(getattr(component, verb, None)) for verb in ("save", "load")):
        return False
    capabilities: Capabilities | None = getattr(component, "capabilities", None)
    return capabilities is None or capabilities.trainable or bool(modules_of(component))


def _picture(value: Any) -> npt.NDArray[Any]:
    """One of a translator's intermediates as an array, without the axis S."""
    tensor = torch.as_tensor(value)
    if tensor.ndim == 5 and tensor.shape[2] == 1:
        tensor = tensor.expand(-1, -1, 3, -1, -1)
    if tensor.ndim == 5 and tensor.shape[2] == 3:
        return to_uint8(tensor)
    if tensor.ndim == 5:
        tensor = tensor.movedim(2, -1)
    return tensor.cpu().float().numpy()
