"""Specs of the reference rows; import-light."""

from __future__ import annotations

from vpbench.api.capabilities import Capabilities
from vpbench.api.specs import Kind, MethodSpec


def _spec(name: str, kind: Kind, cls: str, summary: str, capabilities: Capabilities) -> MethodSpec:
    return MethodSpec(
        name,
        f"vpbench.harness.references.{cls}",
        summary,
        kind=kind,
        capabilities=capabilities,
        licence="Apache-2.0",
    )


BUILTIN = (
    _spec(
        "real",
        "ceiling",
        "retrieval:Real",
        "the true future: the ceiling",
        Capabilities(oracle=True),
    ),
    _spec(
        "real-other",
        "floor",
        "retrieval:RealOther",
        "as many other real clips of the same classes: the floor of set metrics",
        Capabilities(label="optional"),
    ),
    _spec(
        "nearest-train",
        "reference",
        "retrieval:NearestTrain",
        "the future of the training clip whose frame t0 is nearest in pixels",
        Capabilities(),
    ),
    _spec(
        "class-random",
        "reference",
        "retrieval:ClassRandom",
        "the future of a random training clip of the given class",
        Capabilities(label="required", stochastic=True),
    ),
    _spec(
        "real-shuffled",
        "reference",
        "retrieval:RealShuffled",
        "the frames of the true future in a random order",
        Capabilities(oracle=True, stochastic=True),
    ),
    _spec("copy-last", "null", "trivial:CopyLast", "repeats the last given frame", Capabilities()),
    _spec(
        "linear",
        "null",
        "trivial:Linear",
        "the last given frame, and each pixel's trend over the given frames carried on",
        Capabilities((2, 5)),
    ),
    _spec(
        "blur-copy",
        "null",
        "trivial:BlurCopy",
        "repeats the last given frame, blurred by a Gaussian of size/64 px",
        Capabilities(),
    ),
    _spec("noise", "null", "trivial:Noise", "uniform noise", Capabilities(stochastic=True)),
)
