"""Specs of the components that come with vpbench; import-light."""

from __future__ import annotations

from vpbench.api.capabilities import Capabilities
from vpbench.api.specs import ComponentSpec

CONSTANT_VELOCITY = ComponentSpec(
    name="constant-velocity",
    slot="motion",
    factory="vpbench.kit.parts.motion:ConstantVelocity",
    summary="repeats the last step of the given keypoints; with one given frame they stand still",
    capabilities=Capabilities(conditioning_frames=(1, 2)),
    licence="Apache-2.0",
)

FROZEN = ComponentSpec(
    name="frozen",
    slot="motion",
    factory="vpbench.kit.parts.motion:Frozen",
    summary="repeats the last given keypoints",
    licence="Apache-2.0",
)

NEAREST_TRAIN = ComponentSpec(
    name="nearest-train",
    slot="motion",
    factory="vpbench.kit.parts.motion:NearestTrain",
    summary="the motion of the training clip of the same class with the nearest keypoints at t0",
    capabilities=Capabilities(label="optional", trainable=True, memory_gib=2.0),
    trained_by="self",
    licence="Apache-2.0",
)

CLASS_MEAN = ComponentSpec(
    name="class-mean",
    slot="motion",
    factory="vpbench.kit.parts.motion:ClassMean",
    summary="the mean motion of the training clips of the same class, from the given keypoints",
    capabilities=Capabilities(label="optional", trainable=True),
    trained_by="self",
    licence="Apache-2.0",
)

ANNOTATED = ComponentSpec(
    name="annotated",
    slot="detector",
    factory="vpbench.kit.parts.detector:Annotated",
    summary="the annotated joints of the frames as keypoints; the row is marked as using pose",
    space=("n_keypoints", "joints"),
    capabilities=Capabilities(pose="required"),
    params={"n_keypoints": 13},
    licence="Apache-2.0",
)
"""Its keypoints are the dataset's joints in the dataset's order, which is the space (J, "joints").

Spaces are compared before a dataset is opened, so J is a parameter; 13 is what Penn Action and
puppets have, and another number is refused when the task is known. It is not an oracle: in a
prediction it sees the joints of the given frames only. What it has and others lack is an
annotation, and that is what `pose="required"` puts on the row."""

BUILTIN = (CONSTANT_VELOCITY, FROZEN, NEAREST_TRAIN, CLASS_MEAN, ANNOTATED)
