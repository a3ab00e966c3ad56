"""Settings of both stages, and what changes in the course of a training."""

from __future__ import annotations

from vpbench.api import Augment, UnknownName

AHEAD = 2
"""Batches that are made in a thread while the networks compute."""

SMOKE_STEPS = 100
"""A training of fewer steps shows that everything runs, and nothing else."""

NOT_MEASURED = "no validation clip is long enough: acceptance checks not measured"
"""Note of a stage that was trained without validation clips."""

ADAM_BETAS = (0.5, 0.999)
"""Of all four optimisers; the published code's, and the habit of adversarial trainings since DCGAN
(Radford et al. 2016)."""

_FIRST_SHARPNESS, _GROWTH = 0.43, 0.57
"""Gaussians begin 1 / 0.43 = 2.3 times as wide as they end, so that a keypoint off its place still
gets a gradient towards it. What it is worth: `spec.NOTES`."""

AUGMENTS = {
    "none": Augment(),
    "light": Augment(rotate_deg=5.0, crop=0.1, colour=0.3),
    "paper": Augment(flip=True, rotate_deg=10.0, crop=0.25, filters=True),
}
"""Of the first stage. "paper": flip, rotation, random crop and one of ten filters. The published
crop slides a square along the long side of the video; clips are square here already, so a square of
at least three quarters of the side is cut out and enlarged, which moves the picture by up to an
eighth of the side (4:3 videos there: by a sixth, without enlarging)."""

MOTION_AUGMENTS = {
    "none": Augment(),
    "light": Augment(rotate_deg=5.0, crop=0.15),
    "turned": Augment(rotate_deg=10.0, crop=0.25),
    "paper": Augment(flip=True, rotate_deg=15.0, crop=0.3),
}
"""Of the second stage. The paper scales by 0.7 to 1.2; a crop only enlarges."""


RESIDENT = "-resident"
"""At the end of an augmentation's name: the training clips lie on the device and are changed there
(`resident.py`), which a GPU needs in order not to wait for them."""


def named_augment(name: str, known: dict[str, Augment]) -> tuple[Augment, bool]:
    """An augmentation by its name, and whether clips are to lie on the device.

    Raises:
        UnknownName: there is no such augmentation, or it uses filters, which a device lacks.
    """
    plain = {f"{k}{RESIDENT}": v for k, v in known.items() if not v.filters}
    if name not in {**known, **plain}:
        raise UnknownName("augment", name, {**known, **plain})
    return {**known, **plain}[name], name in plain


def sharpness_at(step: int, steps: int, final: float, wide: float) -> float:
    """Gaussians begin blunt and reach their `final` sharpness after a part `wide` of all steps."""
    done = min(1.0, step / max(1.0, wide * steps)) if wide > 0 else 1.0
    return final * (_FIRST_SHARPNESS + _GROWTH * done)
