"""Settings of the two-stream recogniser, and its presets; importing this module costs nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from vpbench.api.errors import UnknownName


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a recogniser is made, trained and used.

    Attributes:
        backbone: name of a network of timm, for both streams.
        short_side: pixels that frames are resized to before a crop is taken.
        crop: side of a crop, the network's input.
        scales: parts of the short side that training crops are cut out at, before they are resized
            to `crop`.
        flow: kind of optical flow.
        steps, temporal_steps: of SGD with momentum 0.9, for the spatial and the temporal stream.
        batch: crops a step.
        rate, temporal_rate: learning rates.
        drops: parts of the steps after which the rate is divided by 10.
        dropout, temporal_dropout: before the classifier.
        decay: weight decay.
        views: frames, and stacks of flow, that a clip is recognised by, at most.
        validations: how often the validation clips decide on the best weights.
    """

    backbone: str
    short_side: int
    crop: int
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    flow: Literal["farneback", "dis"] = "farneback"
    steps: int
    temporal_steps: int
    batch: int
    rate: float = 0.01
    temporal_rate: float = 0.01
    drops: tuple[float, ...] = (0.7, 0.9)
    dropout: float = 0.5
    temporal_dropout: float = 0.9
    decay: float = 5e-4
    views: int = 25
    validations: int = 20

    def fields(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Settings:
        """What `fields` gave."""
        lists = {name: tuple(fields[name]) for name in ("scales", "drops")}
        return cls(**{**fields, **lists})


PRESETS = {
    "paper": Settings(
        backbone="resnet50",
        short_side=256,
        crop=224,
        steps=20_000,
        temporal_steps=80_000,
        batch=64,
        drops=(0.625, 0.875),
    ),
    "cpu": Settings(
        backbone="test_resnet",
        short_side=64,
        crop=56,
        steps=600,
        temporal_steps=1400,
        batch=32,
        rate=0.02,
        temporal_rate=0.02,
        dropout=0.3,
        temporal_dropout=0.5,
        validations=10,
    ),
}
"""paper: steps and rates of Simonyan and Zisserman, with a newer network. cpu: minutes on one core.
"""


def preset(name: str, steps: int | None = None) -> Settings:
    """A preset, or one with other numbers of steps.

    Raises:
        UnknownName: no such preset.
    """
    if name not in PRESETS:
        raise UnknownName("preset of recognisers", name, PRESETS)
    chosen = PRESETS[name]
    return chosen if steps is None else replace(chosen, steps=steps, temporal_steps=steps)
