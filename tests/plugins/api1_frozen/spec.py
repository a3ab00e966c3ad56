"""Specs of the frozen plugin: an end-to-end method and a learned motion model.

Changed only with the contract of api 1.
"""

from vpbench.api import Capabilities, ComponentSpec, MethodSpec, StageSpec

METHOD = MethodSpec(
    name="api1-drift",
    api=1,
    factory="tests.plugins.api1_frozen.method:Drift",
    summary="shifts the last frame by what it has learned for each class",
    citation="@misc{drift, title={Drift}}",
    licence="CC0-1.0",
    capabilities=Capabilities(
        conditioning_frames=(1, 2),
        label="optional",
        pose="no",
        stochastic=True,
        max_horizon=64,
        size_multiple=1,
        min_size=8,
        trainable=True,
    ),
    params={"clips": 8, "jitter": 0.0},
    overrides={"jitter=0.0": {"stochastic": False}},
    stages=(StageSpec("drift", version=1),),
    presets={"quick": {"clips": 4}, "full": {}},
    default_preset=((64, "quick"), (None, "full")),
)

MOTION = ComponentSpec(
    name="api1-line",
    slot="motion",
    api=1,
    factory="tests.plugins.api1_frozen.motion:Line",
    summary="one learned step for each class",
    space=None,
    capabilities=Capabilities(label="optional", trainable=True),
    trained_by="self",
    version=1,
    params={"steps": 20, "batch": 4, "rate": 0.05},
)

SPECS = (METHOD, MOTION)
