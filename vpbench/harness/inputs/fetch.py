"""Downloads what the jobs of a run need: checkpoints with a URL, weights for fitting.

Only the parent process does this, before jobs start; jobs use no network.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from vpbench.api.errors import Corrupt, MissingWeights, UsageError
from vpbench.api.specs import Checkpoint, Value, WeightSpec
from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import make_folder, storage
from vpbench.core.lock import lock_or_wait
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report
from vpbench.core.rundir import StageDir
from vpbench.core.stages import StageNode

LARGEST = 2 << 30
"""No larger checkpoint is downloaded, bytes; unpacked it may be twice as large."""


def fetch_for_run(run: RunPlan, paths: Paths, report: Report, *, refit: bool = False) -> None:
    """Fetch what is missing: pinned checkpoints, and weights of stages that will be fitted.

    Raises:
        MissingWeights: it cannot be fetched; names the stage.
        Corrupt: the download is not what was pinned.
    """
    for stage in run.stages:
        if stage.origin == "downloaded":
            fetch_checkpoint(stage, paths, report)
    for stage in run.stages:
        if stage.origin == "to fit" and (refit or not stage.folder.complete()):
            for weights in weights_to_fit(stage.node):
                _fetch_weights(weights, stage.node, paths, report)


# pretrained weights ------------------------------------------------------------------------------


def declared_weights(node: StageNode) -> tuple[WeightSpec, ...]:
    """All pretrained files that a stage may ask for: those of its method and of its components."""
    parts = node.method.slots.values()
    return (*node.method.spec.weights, *(w for part in parts for w in part.spec.weights))


def weights_to_fit(node: StageNode) -> list[WeightSpec]:
    """The pretrained weights that fitting a stage needs with its parameters.

    Those of the method, where its own `fit` is called, and of the components that are trained.

    Raises:
        UsageError: a `when` names an unknown parameter.
    """
    if node.mode == "labels":
        return []
    method = node.method
    wanted: list[WeightSpec] = []
    if node.mode == "method":
        wanted += _chosen(method.spec.name, method.spec.weights, method.params)
    for part in (method.slots[slot] for slot in node.trains):
        params = {**method.params, **part.params} if node.mode == "method" else part.params
        wanted += _chosen(part.spec.name, part.spec.weights, params)
    return _distinct(wanted)


def _distinct(weights: Iterable[WeightSpec]) -> list[WeightSpec]:
    """Each file once, in the order in which it is first named."""
    return list({(w.name, w.sha256): w for w in reversed(list(weights))}.values())[::-1]


def _chosen(
    owner: str, weights: tuple[WeightSpec, ...], params: Mapping[str, Value]
) -> Iterator[WeightSpec]:
    for weight in weights:
        for key in weight.when:
            if key not in params:
                raise UsageError(
                    f"the weights {weight.name} of {owner} depend on {key!r}, which is not one "
                    "of its parameters."
                )
        if all(params[key] == value for key, value in weight.when.items()):
            yield weight


def _fetch_weights(weights: WeightSpec, node: StageNode, paths: Paths, report: Report) -> None:
    from vpbench.metrics.weights.fetch import fetch

    try:
        fetch(
            weights,
            paths.cache,
            offline=paths.offline,
            progress=_reporter("", f"fetch {weights.name}", report),
        )
    except MissingWeights as error:
        raise MissingWeights(
            f"{node.label} cannot be fitted: {error.message}", fix=error.fix
        ) from error


def fetch_metric_weights(
    needed: Iterable[WeightSpec], paths: Paths, report: Report
) -> dict[str, str]:
    """Fetch the weights of metrics that are not here yet.

    Args:
        needed: the files that the metrics need with their recipes.

    Returns:
        Weights name -> why they could not be fetched; the metrics report it when they are scored.
    """
    from vpbench.metrics.weights.fetch import fetch

    missing: dict[str, str] = {}
    for weights in _distinct(needed):
        show = _reporter(weights.name, "weights", report)
        try:
            fetch(weights, paths.cache, offline=paths.offline, progress=show)
        except MissingWeights as error:
            missing[weights.name] = str(error)
    return missing


def absent_metric_weights(needed: Iterable[WeightSpec], paths: Paths) -> dict[str, str]:
    """Weights of metrics that are not here, name -> that they are not; fetches and hashes none."""
    from vpbench.metrics.weights.fetch import candidates, locate
    from vpbench.metrics.weights.weight_file import weight_file

    files = [weight_file(spec) for spec in _distinct(needed)]
    here = [any(candidates(f)) or locate(f, paths.cache, verify=False) is not None for f in files]
    pairs = zip(files, here, strict=True)
    return {file.name: f"{file.name} is not here." for file, there in pairs if not there}


# checkpoints -------------------------------------------------------------------------------------


def fetch_checkpoint(
    stage: StagePlan, paths: Paths, report: Report, *, allow_http: bool = False
) -> None:
    """Download and unpack the checkpoint of a stage into the cache, unless it is there.

    Several processes at once download it once. It appears only when it is complete and verified.

    Args:
        allow_http: for tests.

    Raises:
        MissingWeights: there is no network, or the server does not answer.
        Corrupt: the download is not the pinned file, or does not contain that stage.
        UsageError: the plugin does not pin a complete sha256.
    """
    pinned = stage.checkpoint
    assert pinned is not None  # origin "downloaded"
    label, folder = stage.node.label, stage.folder
    if not re.fullmatch(r"[0-9a-f]{64}", pinned.sha256):
        raise UsageError(
            f"the checkpoint of {label} at {pinned.source} is not pinned by a sha256 of 64 digits."
        )
    if folder.complete():
        return
    if paths.offline:
        raise MissingWeights(
            f"the checkpoint of {label} has not been downloaded, and there is no network to fetch "
            f"it from {pinned.source}.",
            fix="Run once without --offline, or train it here with --fit.",
        )
    home = make_folder(folder.path.parent)
    lock = lock_or_wait(home / f".{pinned.sha256}.lock", folder.complete)
    if lock is None:
        return
    with lock:
        downloads = home / f".download-{pinned.sha256}"
        archive = _download(pinned, label, downloads, report, allow_http)
        try:
            with tempfile.TemporaryDirectory(dir=home, prefix=".scratch-") as scratch:
                stage_folder = _unpacked(archive, Path(scratch), stage.node, pinned)
                lock.check()
                with storage(folder.path):
                    stage_folder.rename(folder.path)
        finally:
            shutil.rmtree(downloads, ignore_errors=True)


def _download(
    pinned: Checkpoint, label: str, folder: Path, report: Report, allow_http: bool
) -> Path:
    from vpbench.metrics.weights.download import from_https
    from vpbench.metrics.weights.weight_file import Https

    source = Https(pinned.source, pinned.sha256, None, LARGEST, "safetensors")
    try:
        return from_https(
            source, folder, _reporter("", f"fetch {label}", report), allow_http=allow_http
        )
    except MissingWeights as error:
        raise MissingWeights(
            f"the checkpoint of {label} could not be fetched: {error.message}",
            fix="Try again later, or train it here with --fit.",
        ) from error


def _unpacked(archive: Path, scratch: Path, node: StageNode, pinned: Checkpoint) -> Path:
    """The stage folder in a zip, verified: at its top, or in the one folder that it has."""
    from vpbench.metrics.weights.archive import unpack

    named = archive.with_name("checkpoint.zip")
    archive.rename(named)
    unpack(named, scratch, 2 * LARGEST)
    tops = list(scratch.iterdir())
    stage_folder = tops[0] if len(tops) == 1 and tops[0].is_dir() else scratch / "stage"
    if stage_folder.parent == scratch and not stage_folder.exists():
        make_folder(stage_folder)
        for top in tops:
            top.rename(stage_folder / top.name)
    folder = StageDir(stage_folder)
    if not folder.complete():
        raise Corrupt(f"{pinned.source} does not contain a stage: it has no stage.json.")
    record = folder.read()
    stands_for = (record.get("owner"), record.get("stage"), record.get("key"))
    if stands_for != (node.owner, node.stage, node.key):
        raise Corrupt(f"{pinned.source} contains another stage than {node.label} ({node.key}).")
    return stage_folder


def _reporter(method: str, what: str, report: Report) -> Callable[[int, int | None], None]:
    """Turns bytes of a download into progress events."""

    def show(done: int, total: int | None) -> None:
        event = {"event": "progress", "what": what, "done": done, "total": total, "unit": "B"}
        report({**event, "method": method} if method else event)

    return show
