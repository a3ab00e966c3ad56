"""Attests that code which has changed since still trains a stage as it did.

Training cannot be repeated to find out. The first losses of a small training can: where they agree
with those that were stored beside the checkpoint, the code as it is now is added to those that the
checkpoint stands for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from vpbench.core import schema
from vpbench.core.code import CodeTable, changed_modules, code_table, digest_cache, roots_of
from vpbench.core.names import MethodRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir, read_sealed, write_sealed
from vpbench.harness.training.probe import ProbeRecord, training_probe

ATTESTED = "attested.json"


def attest(
    folder: StageDir, registry: Registry, paths: Paths, report: Report = silent
) -> list[str]:
    """Repeat the training probe of a stage, and record the code where it agrees.

    Returns:
        Differences from the stored probe, one line each; [] where it agrees.

    Raises:
        MissingData: the stage has no probe.
        HashMismatch: the stage is not what was written.
    """
    record = folder.read()
    stored = ProbeRecord.read(folder.path)
    with tempfile.TemporaryDirectory(prefix="vpbench-probe-") as work:
        again = training_probe(
            stored.stage, stored.method, registry, paths.cache, Path(work), report=report
        )
    differences = stored.differences(again)
    if not differences:
        method = resolve(MethodRef.parse(stored.method), registry, record["task"]["size"])
        table = code_table(roots_of(method.factories), digest_cache(paths.cache))
        known = [t for t in _attested(folder) if t["modules"] != table["modules"]]
        write_sealed(
            folder.path / ATTESTED,
            {"schema": schema.ATTESTED, "key": record["key"], "code": [*known, table]},
        )
    return differences


def code_of_stage(folder: StageDir, paths: Paths) -> str:
    """What is known of the code that trained a stage, in one line.

    One of "recorded" (it is the code that is here), "attested" (other code, whose first losses
    agree), "changed since: MODULES", or "not recorded".
    """
    digests = digest_cache(paths.cache)
    recorded = cast("CodeTable | None", folder.read().get("code"))
    if recorded is not None and not changed_modules(recorded, digests):
        return "recorded"
    attested = _attested(folder)
    if any(not changed_modules(table, digests) for table in attested):
        return "attested"
    last = attested[-1] if attested else recorded
    if last is None:
        return "not recorded"
    return f"changed since: {', '.join(changed_modules(last, digests))}"


def _attested(folder: StageDir) -> Sequence[CodeTable]:
    path = folder.path / ATTESTED
    if not path.is_file():
        return []
    return cast("list[CodeTable]", read_sealed(path, schema.ATTESTED)["code"])
