"""Put a trained recogniser of `action-2s` into the package.

    vpbench recogniser train --dataset puppets
    python tools/ship_recogniser.py puppets-cpu-1a2b3c4d

It takes the place of one for the same dataset and preset.
"""

from __future__ import annotations

import shutil
import sys

from vpbench.core.paths import cache_folder
from vpbench.metrics.action.two_stream.recogniser import RECORD, WEIGHTS
from vpbench.metrics.action.two_stream.store import SHIPPED, all_recognisers

LIMIT_MB = 3.0
"""A package must not grow by more."""


def main(name: str) -> int:
    """Copy it, and print its pin."""
    here = {r.record["name"]: r for r in all_recognisers(cache_folder())}
    if name not in here:
        sys.stderr.write(f"there is no recogniser {name!r}; there are {', '.join(here)}\n")
        return 1
    found = here[name]
    size = sum((found.folder / part).stat().st_size for part in (RECORD, WEIGHTS)) / 1e6
    if size > LIMIT_MB:
        sys.stderr.write(f"{name} has {size:.1f} MB, at most {LIMIT_MB:.0f} may ship\n")
        return 1
    target = SHIPPED / name.rpartition("-")[0]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for part in (RECORD, WEIGHTS):
        shutil.copy(found.folder / part, target / part)
    seal = found.record.get("sha256")
    sys.stdout.write(f"{target}: {size:.2f} MB\n")
    sys.stdout.write("PINS of vpbench.metrics.action.two_stream.store: ")
    sys.stdout.write(f"{target.name!r}: {seal!r}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
