"""A learned method of a few thousand parameters: two trained stages, three slots.

Detector and translator are trained together, then the motion model on the detector's keypoints.
`tiny-line` is a motion model that a third party could have written: it brings its own training.
"""

from vpbench.api import Capabilities, ComponentSpec, MethodSpec, StageSpec

HERE = __file__
PARAMS = {"width": 8, "points": 4, "steps": 6, "batch": 4, "pause": 0.0, "every": 2}
SPACE = ("points", "unsupervised")
TRAINS = {"keypoints": ("detector", "translator"), "motion": ("motion",)}

METHOD = MethodSpec(
    "tiny",
    f"{HERE}:Tiny",
    "a tiny learned method",
    capabilities=Capabilities(
        (1, 2), label="optional", stochastic=True, trainable=True, size_multiple=4
    ),
    params=PARAMS,
    stages=(
        StageSpec("keypoints", 1, ("detector", "translator")),
        StageSpec("labels", 1, (), ("keypoints",), "labels"),
        StageSpec("motion", 1, ("motion",), ("labels",)),
    ),
    slots={"detector": "tiny-detector", "motion": "tiny-motion", "translator": "tiny-translator"},
    presets={"normal": {}, "wide": {"width": 16}},
    default_preset=((None, "normal"),),
)


def _part(name, slot, cls, by, **more):
    return ComponentSpec(
        name,
        slot,
        f"{HERE}:{cls}",
        f"the {slot} of a tiny method",
        space=SPACE,
        params=PARAMS,
        trained_by=by,
        **more,
    )


DETECTOR = _part("tiny-detector", "detector", "Detector", "tiny:keypoints")
MOTION = _part(
    "tiny-motion",
    "motion",
    "Motion",
    "tiny:motion",
    capabilities=Capabilities(label="optional", stochastic=True),
)
TRANSLATOR = _part("tiny-translator", "translator", "Translator", "tiny:keypoints")
LINE = _part(
    "tiny-line",
    "motion",
    "Line",
    "self",
    capabilities=Capabilities(label="optional", stochastic=True),
)
STILL = ComponentSpec("tiny-still", "motion", f"{HERE}:Still", "keeps the last keypoints")


def __getattr__(name):
    """The torch half loads on first use, as in a real plugin with two modules."""
    if name in ("Tiny", "Detector", "Motion", "Translator", "Line", "Still"):
        import importlib.util
        import sys
        from pathlib import Path

        if "tiny_parts" not in sys.modules:
            spec = importlib.util.spec_from_file_location(
                "tiny_parts", Path(HERE).with_name("tiny_parts.py")
            )
            module = importlib.util.module_from_spec(spec)
            sys.modules["tiny_parts"] = module
            spec.loader.exec_module(module)
        return getattr(sys.modules["tiny_parts"], name)
    raise AttributeError(name)
