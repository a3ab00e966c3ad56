"""What training costs, as specs declare it: `vpbench run` and `plan` say it before they start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """What the training of all stages with a preset costs; said before it starts.

    Attributes:
        steps: of all stages together.
        cpu_hours: on two CPU cores, with frames of 64 px; None where it was never trained there.
            Larger frames are taken to need as many times more as they have more pixels.
        gpu_hours: on one GPU of the data centre (H100).
    """

    steps: int
    cpu_hours: float | None = None
    gpu_hours: float | None = None

    def hours(self, *, on_gpu: bool) -> float | None:
        """The hours on one kind of device."""
        return self.gpu_hours if on_gpu else self.cpu_hours


@dataclass(frozen=True)
class TrainingCost:
    """What a step of a training costs; `vpbench plan` says from it how long the training takes.

    Attributes:
        stage: name of a stage of the method, "fit" of a component.
        preset: whose parameters it was counted with; with others nothing is said.
        size: side of the frames, in pixels.
        tflop: 10^12 floating-point operations of one step, forward and backward.
        gib: memory of one step on a processor.
        steps: the parameter that holds the number of steps.
    """

    stage: str
    preset: str
    size: int
    tflop: float
    gib: float
    steps: str = "steps"
