"""Specs of the datasets that come with vpbench; import-light."""

from __future__ import annotations

from vpbench.api.specs import DatasetSpec, TaskSpec
from vpbench.api.windows import WindowRule
from vpbench.data.folder import SPEC as FOLDER

_PUPPETS_STILL = WindowRule(n_max=5, horizon=16)
"""One stance and a label: the action begins with the targets."""
_PUPPETS_MOVING = WindowRule(n_max=5, horizon=16, start=3)
"""The given frames show how the action begins."""

PUPPETS = DatasetSpec(
    name="puppets",
    factory="vpbench.data.puppets.dataset:Puppets",
    summary="rendered figures in nine actions of Penn Action, with joints; nothing to download",
    tasks=tuple(
        TaskSpec(name, window, 64, native=True, test=test, trained_as=trained_as)
        for name, window, test, trained_as in (
            ("puppets", _PUPPETS_STILL, "test", ""),
            ("puppets-moving", _PUPPETS_MOVING, "test", "puppets"),
            ("puppets@large", _PUPPETS_STILL, "large", "puppets"),
            ("puppets-moving@large", _PUPPETS_MOVING, "large", "puppets"),
        )
    ),
    options={"size": 64},
    rendered=True,
    licence="Apache-2.0",
)

_PENN_CITATION = (
    "Zhang, Zhu, Derpanis: From Actemes to Action: A Strongly-supervised Representation for "
    "Detailed Action Understanding, ICCV 2013"
)
_PENN_WINDOW = WindowRule(n_max=1, horizon=32, gap="spread", short="double")

PENN = DatasetSpec(
    name="penn",
    factory="vpbench.data.penn.dataset:Penn",
    summary="Penn Action, nine actions, on the split of Kim et al. (NeurIPS 2019), with joints",
    tasks=(
        TaskSpec("penn", _PENN_WINDOW, 128),
        TaskSpec("penn-context", WindowRule(n_max=10, horizon=16, gap="spread"), 128),
    ),
    options={"resize": "antialias"},
    citation=_PENN_CITATION,
    licence="research; please cite; no licence text is published",
)

PENN_PUPPETS = DatasetSpec(
    name="penn-puppets",
    factory="vpbench.data.penn_puppets.dataset:PennPuppets",
    summary="rendered figures that move as people did in Penn Action; needs its label files only",
    tasks=(TaskSpec("penn-puppets", _PENN_WINDOW, 64, native=True),),
    rendered=True,
    roots=("penn-labels", "penn"),
    citation=_PENN_CITATION,
    licence="the joints: research; please cite; no licence text is published",
)

NEMO = DatasetSpec(
    name="nemo",
    factory="vpbench.data.archives:Nemo",
    summary="UvA-NEMO smiles as aligned by Siarohin et al.: 32 frames of 64x64 px, no classes",
    tasks=(TaskSpec("nemo", WindowRule(n_max=1, horizon=31), 64, native=True),),
    citation="Dibeklioglu, Salah, Gevers: Are You Really Smiling at Me?, ECCV 2012",
    licence="research only, on request to its owners",
)

MGIF = DatasetSpec(
    name="mgif",
    factory="vpbench.data.archives:Mgif",
    summary="moving cartoon animals, by Siarohin et al.: 1000 gifs, cycles, no classes",
    tasks=(TaskSpec("mgif", WindowRule(n_max=1, horizon=32, gap="spread", short="loop"), 128),),
    options={"size": 128},
    citation="Siarohin et al.: Animating Arbitrary Objects via Deep Motion Transfer, CVPR 2019",
    licence="none is stated",
)

BUILTIN = (PUPPETS, PENN, PENN_PUPPETS, NEMO, MGIF, FOLDER)
