"""Toy specs, a registry of them, and toy tasks: nothing is imported, nothing is run."""

from vpbench.api import (
    Capabilities,
    ClipInfo,
    ComponentSpec,
    MethodSpec,
    StageSpec,
    TaskInfo,
    TaskSpec,
    WindowRule,
)
from vpbench.core.discovery import PluginRef
from vpbench.core.registry import Entry, Registry
from vpbench.core.tasks import SPLITS, Task, make_items

SHARED = {"width": 8, "points": 4}
SPACE = ("points", "unsupervised")


def component(name, slot, by=None, params=None, **more):
    return ComponentSpec(
        name, slot, f"{name}_mod:Part", "a part", trained_by=by, params=params or {}, **more
    )


TOY = MethodSpec(
    "toy",
    "toy_mod:Toy",
    "a composed method",
    capabilities=Capabilities((1, 2), stochastic=True, trainable=True),
    params={**SHARED, "z": 3, "steps": 10, "lr": 0.5, "flip": True, "mode": "plain"},
    presets={"cpu": {}, "paper": {"width": 32, "lr": 1}},
    default_preset=((64, "cpu"), (None, "paper")),
    overrides={"mode=posed": {"pose": "required"}, "motion=frozen": {"stochastic": False}},
    stages=(
        StageSpec("keypoints", 1, ("detector", "translator")),
        StageSpec("labels", 1, (), ("keypoints",), "labels"),
        StageSpec("motion", 1, ("motion",), ("labels",)),
    ),
    slots={"detector": "toy-detector", "motion": "toy-motion", "translator": "toy-translator"},
)
DETECTOR = component("toy-detector", "detector", "toy:keypoints", SHARED, space=SPACE)
MOTION = component("toy-motion", "motion", "toy:motion", {**SHARED, "z": 3}, space=SPACE)
TRANSLATOR = component("toy-translator", "translator", "toy:keypoints", SHARED, space=SPACE)
FROZEN = component("frozen", "motion", params={"hold": 2})
LINE = component("line", "motion", "self", {"steps": 7}, space=(4, "unsupervised"))
DRIFT = component("drift", "motion", "self", {"steps": 7}, version=2)
PAINTER = component("painter", "translator", "self", {"steps": 7})
WARP = component("warp", "translator", params={"soft": 1.0})
GRID = component("grid", "detector", params={"side": 2}, space=(4, "grid"))
JOINTS = component("joints", "detector", params={"side": 2}, space=(4, "unsupervised"))
JOINTS_TOO = component("joints-too", "detector", params={"side": 2}, space=(4, "unsupervised"))

OTHER = MethodSpec(
    "other",
    "other_mod:Other",
    "its detector can stand in for others",
    params={"width": 5, "points": 4},
    presets={"small": {}, "big": {"width": 6}},
    default_preset=((64, "small"), (None, "big")),
    stages=(StageSpec("find", 1, ("detector", "translator")),),
    slots={"detector": "other-detector", "translator": "other-translator"},
)
OTHER_DETECTOR = component(
    "other-detector", "detector", "other:find", {"width": 5, "points": 4}, space=SPACE
)
OTHER_TRANSLATOR = component(
    "other-translator", "translator", "other:find", {"width": 5, "points": 4}, space=SPACE
)
OTHER_B = component(
    "other-b", "detector", "other:find", {"width": 5, "points": 4, "depth": 1}, space=SPACE
)
FLAT = MethodSpec(
    "flat",
    "flat_mod:Flat",
    "end to end",
    params={"gain": 2},
    capabilities=Capabilities(trainable=True),
    stages=(StageSpec("all"),),
)
PLAIN = MethodSpec("plain", "plain_mod:Plain", "nothing to train")

ALL = (
    TOY,
    DETECTOR,
    MOTION,
    TRANSLATOR,
    FROZEN,
    LINE,
    DRIFT,
    PAINTER,
    WARP,
    GRID,
    JOINTS,
    JOINTS_TOO,
    OTHER,
    OTHER_DETECTOR,
    OTHER_TRANSLATOR,
    OTHER_B,
    FLAT,
    PLAIN,
)


def entry(spec, dist="toys", version="1.0", source="entry-point", **more):
    ref = PluginRef(spec.name, spec.registry, f"{dist}_specs:X", source, dist, version)
    return Entry(spec.name, spec.registry, ref, spec=spec, **more)


def registry(*specs, replace=()):
    """All toys, with some of them replaced by others of the same name, and more."""
    changed = {(s.registry, s.name): s for s in (*ALL, *specs, *replace)}
    return Registry([entry(s) for s in changed.values()])


def clip(name, frames=24, label=0, **more):
    return ClipInfo(name, frames, 32, 32, label, **{"sha256": f"sha of {name}", **more})


def task(clips=None, *, window=None, size=64, classes=2, joints=0, limit=None, name="toyset"):
    """A task whose splits hold two clips each, unless told otherwise."""
    spec = TaskSpec(name, window or WindowRule(2, 6), size)
    clips = {
        **{s: [clip(f"{s}-a"), clip(f"{s}-b", label=1)] for s in SPLITS},
        **(clips or {}),
    }
    made = {s: make_items(spec, clips[s]) for s in SPLITS}
    info = TaskInfo(
        name,
        size,
        spec.window.horizon,
        spec.window.n_max,
        None,
        classes,
        tuple(f"class {k}" for k in range(classes)),
        joints,
        tuple(f"joint {k}" for k in range(joints)),
    )
    return Task(
        id=name,
        dataset=name,
        name=name,
        spec=spec,
        geometry={"resize": "area"},
        items={s: m[0] for s, m in made.items()},
        excluded={s: m[1] for s, m in made.items()},
        info=info,
        limit=limit,
    )
