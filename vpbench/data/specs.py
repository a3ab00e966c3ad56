"""Specs of the datasets that come with vpbench; import-light."""

from __future__ import annotations

from vpbench.data.folder import SPEC as FOLDER

BUILTIN = (FOLDER,)
