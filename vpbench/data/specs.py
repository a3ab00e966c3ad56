"""Specs of the datasets that come with vpbench; import-light."""

from __future__ import annotations

from vpbench.api.specs import DatasetSpec, TaskSpec
from vpbench.api.windows import WindowRule
from vpbench.data.folder import SPEC as FOLDER

PUPPETS = DatasetSpec(
    name="puppets",
    factory="vpbench.data.puppets.dataset:Puppets",
    summary="rendered figures in nine actions of Penn Action, with joints; nothing to download",
    tasks=(TaskSpec("puppets", WindowRule(n_max=5, horizon=16), 64, native=True),),
    options={"size": 64},
    rendered=True,
    licence="Apache-2.0",
)

BUILTIN = (PUPPETS, FOLDER)
