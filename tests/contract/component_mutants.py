"""Good components, and for every check a component that only this check catches."""

from vpbench.api import Capabilities, ComponentSpec

MUTANTS = {}


def part(name, cls, catches, slot="motion", space=None, capabilities=None, **more):
    globals()[f"SPEC_{name}"] = ComponentSpec(
        name,
        slot,
        f"{__file__}:{cls}",
        "a mutant",
        space=space,
        capabilities=capabilities or Capabilities(),
        **more,
    )
    MUTANTS[name] = catches


RANDOM = Capabilities(stochastic=True)
part("good-motion", "Good", None)
part("good-drift", "Drift", None, capabilities=RANDOM)
part("good-net", "Net", None)
part("good-half", "Half", None)
part("no-load", "NoLoad", "methods")
part("no-space", "Detect", "space", slot="detector")
part("any-space", "Shows", "space", slot="translator")
part("good-any-space", "Shows", None, slot="translator", trained_by="self")
part("good-detector", "Detect", None, slot="detector", space=(4, "test"))
part(
    "joints",
    "Joints",
    None,
    slot="detector",
    space=(13, "penn"),
    capabilities=Capabilities(pose="required"),
)
part("one-more", "Detect", "shapes", slot="detector", space=(3, "test"))
part("pixels", "Pixels", "values", slot="detector", space=(4, "test"))
part("counts", "Counts", "same-seed")
part("secretly-random", "Drift", "seeds")
part("batch-mean", "BatchMean", "batches")
part("forgets", "Forgets", "save-load")
part("coarse", "Coarse", "save-load")
part("needs-label", "NeedsLabel", "composed")


def __getattr__(name):
    """The torch half loads on first use."""
    if name.startswith("_"):
        raise AttributeError(name)
    import importlib.util
    import sys
    from pathlib import Path

    if "component_parts" not in sys.modules:
        path = Path(__file__).with_name("component_parts.py")
        spec = importlib.util.spec_from_file_location("component_parts", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["component_parts"] = module
        spec.loader.exec_module(module)
    return getattr(sys.modules["component_parts"], name)
