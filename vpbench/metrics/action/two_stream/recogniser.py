"""A trained two-stream recogniser: its record, its files, and what it says about a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import HashMismatch
from vpbench.api.types import ClipInfo, Frames, TaskInfo
from vpbench.core import schema
from vpbench.core.hashing import digest, file_sha256
from vpbench.core.rundir import read_sealed
from vpbench.metrics.action.two_stream.settings import Settings
from vpbench.metrics.action.two_stream.views import Material, clip_views, material

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = npt.NDArray[np.float64]

RECORD, WEIGHTS = "recogniser.json", "weights.safetensors"
_BATCH = 16
"""Crops in a forward pass, always so many: a clip's answer does not depend on its neighbours."""


class RecogniserRecord(TypedDict):
    """recogniser.json, sealed.

    Attributes:
        name: "<dataset>-<preset>-<8 digits of the weights' hash>".
        domain: which training split, classes and size it is for (`domain`).
        weights: sha256 of the file of weights.
        train: [id, sha256 of the source] of every clip that it was trained on.
        accuracy: on validation clips: of each stream, and "fused".
        pretrained: sha256 of the file that training began with; "" for random weights.
    """

    schema: str
    vpbench: str
    name: str
    dataset: str
    preset: str
    domain: str
    classes: list[str]
    size: int
    settings: dict[str, Any]
    weights: str
    train: list[list[str]]
    n_validation: int
    accuracy: dict[str, float]
    seed: int
    pretrained: str
    seconds: float
    device: str
    timm: str
    created: float
    sha256: NotRequired[str]


def domain(task: TaskInfo, clips: Sequence[ClipInfo]) -> str:
    """What a recogniser is for, 64 hex digits: classes, size, and the training split by content."""
    rows = sorted([clip.id, clip.label, clip.sha256] for clip in clips)
    return digest([list(task.class_names), task.size, rows])


@dataclass(frozen=True, eq=False)
class TwoStream:
    """A recogniser that is ready to use.

    Attributes:
        folder: where its two files are.
        record: its record.
    """

    folder: Path
    record: RecogniserRecord

    @classmethod
    def read(cls, folder: Path) -> TwoStream:
        """Read the record and check the weights.

        Raises:
            HashMismatch: a file is not what was written.
        """
        record = cast("RecogniserRecord", read_sealed(folder / RECORD, schema.RECOGNISER))
        weights = folder / WEIGHTS
        if not weights.is_file() or file_sha256(weights) != record["weights"]:
            raise HashMismatch(
                f"{weights} is not what was written.", fix=f"Delete {folder} and train it again."
            )
        return cls(folder, record)

    @property
    def settings(self) -> Settings:
        """How it was made and is used."""
        return Settings.of(self.record["settings"])

    def trained_on(self, clip: ClipInfo) -> bool:
        """Whether a clip, or another window of it, was trained on."""
        own, sha256 = clip.id.partition("#")[0], clip.sha256
        return any(
            own == name.partition("#")[0] if not (sha and sha256) else sha == sha256
            for name, sha in self.record["train"]
        )

    def networks(self) -> dict[str, nn.Module]:
        """Stream -> network in evaluation mode, float32 on the processor."""
        from vpbench.metrics.action.two_stream.networks import STREAMS, make_network

        arrays = read_weights(self.folder / WEIGHTS)
        networks: dict[str, nn.Module] = {}
        for stream in STREAMS:
            network = make_network(stream, self.settings, len(self.record["classes"]))
            own = {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith(f"{stream}/")}
            network.load_state_dict(own)
            networks[stream] = network.eval()
        return networks


def recognise(
    networks: Mapping[str, nn.Module], clip: Frames, settings: Settings
) -> dict[str, Floats]:
    """What a recogniser says about one clip.

    Args:
        networks: stream -> network in evaluation mode.
        clip: uint8 [T,H,W,3], T above 10.

    Returns:
        Stream -> [C], the mean of the softmax over the views; and "fused", the mean of both.
    """
    return recognise_material(networks, material(clip, settings), settings)


def recognise_material(
    networks: Mapping[str, nn.Module], item: Material, settings: Settings
) -> dict[str, Floats]:
    """As `recognise`, of a clip whose flow is there already."""
    found = {
        name: _softmax(network, name, clip_views(item, name, settings))
        for name, network in networks.items()
    }
    return {**found, "fused": np.mean([found[name] for name in sorted(found)], axis=0)}


def _softmax(network: nn.Module, stream: str, images: npt.NDArray[Any]) -> Floats:
    import torch

    from vpbench.metrics.action.two_stream.networks import flow_input, frames_input

    as_input = frames_input if stream == "spatial" else flow_input
    parts: list[Floats] = []
    with torch.inference_mode():
        for k in range(0, len(images), _BATCH):
            part = images[k : k + _BATCH]
            filled = np.concatenate([part, np.repeat(part[-1:], _BATCH - len(part), axis=0)])
            logits = network(as_input(torch.from_numpy(filled)))
            parts.append(logits.double().softmax(dim=1).numpy()[: len(part)])
    return np.concatenate(parts).mean(axis=0)


def weights_bytes(networks: Mapping[str, nn.Module]) -> bytes:
    """The weights of both streams as safetensors, floats as float16; the same give the same."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    for stream in sorted(networks):
        for name, value in sorted(networks[stream].state_dict().items()):
            kept = value.half() if value.is_floating_point() else value
            tensors[f"{stream}/{name}"] = kept.contiguous().cpu()
    return save(tensors)


def read_weights(path: Path) -> dict[str, Tensor]:
    """What `weights_bytes` wrote, floats as float32."""
    from safetensors.torch import load_file

    arrays = load_file(path)
    return {k: v.float() if v.is_floating_point() else v for k, v in arrays.items()}


def recogniser_name(dataset: str, preset: str, weights: bytes) -> str:
    """The name of a recogniser: what it is for, how it was made, and which one it is."""
    return f"{dataset}-{preset}-{hashlib.sha256(weights).hexdigest()[:8]}"
