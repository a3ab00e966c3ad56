"""probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vpbench.cli import completion, options
from vpbench.cli.opening import open_task, prepare_dataset, task_ref
from vpbench.cli.progress import Progress
from vpbench.cli.show import print_json
from vpbench.core.options import RunOptions

_EPILOG = """\b
Examples:
  vpbench probe my-method --dataset puppets
  vpbench probe my-detector --dataset puppets --json
  vpbench probe 'my-method[detector=other-detector]' --limit 30

Error is the mean distance of a joint, in pixels and in parts of the longer side of the box around
the figure's visible joints; PCK@0.1 is the share of visible joints off by at most a tenth of it."""


@click.command(epilog=_EPILOG)
@click.argument(
    "name", metavar="METHOD|COMPONENT", shell_complete=completion.names("method", "component")
)
@options.dataset
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use only N test clips.")
@click.option(
    "--train-clips",
    type=click.IntRange(1),
    default=450,
    show_default=True,
    metavar="N",
    help="Training clips that joints are fitted on, at most.",
)
@options.preset
@options.fit_seed
@options.checkpoint
@options.device()
@options.storage
@options.output
def probe(
    name: str,
    dataset: str,
    task_name: str | None,
    root: str | None,
    limit: int | None,
    train_clips: int,
    preset: str | None,
    fit_seed: int,
    checkpoint: str | None,
    device: str,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Measure how good a trained keypoint detector is.

    Takes a method with a detector, or a detector component, on a dataset with annotated joints:
    how well a linear map finds the joints from the keypoints, with few and many annotated frames;
    how far keypoints lag behind when the picture is shifted, turned or scaled; and how much they
    jitter beside the joints. Trains nothing and stores nothing.
    """
    from vpbench.core.names import MethodRef
    from vpbench.harness.prediction.detectors import load_detector
    from vpbench.harness.scoring.detector_probe import check_task, probe_detector

    ref = task_ref(dataset, task_name, root, limit)
    file = ".py" in name.partition("[")[0]
    opened = open_task([name] if file else [], ref, runs, offline)
    task_data = opened.task_data
    check_task(task_data)
    chosen = RunOptions(
        preset=preset,
        fit_seeds=(fit_seed,),
        checkpoint=Path(checkpoint).absolute() if checkpoint else None,
        device=device,
        plugins=opened.plugins,
    )
    method = opened.methods[0] if file else MethodRef.parse(name)
    with Progress("probing") as progress:
        prepare_dataset(task_data.dataset, progress)
        detector = load_detector(method, chosen, task_data, opened.registry, opened.paths, progress)
        record = probe_detector(detector, task_data, train_clips, progress)
    if as_json:
        print_json(record)
    else:
        _print(record)
    return 0


def _print(record: dict[str, Any]) -> None:
    train, test = record["train"], record["test"]
    click.echo(
        f"{record['method']} on {record['task']['id']}: {record['n_keypoints']} keypoints, "
        f"{record['n_joints']} joints, {test['clips']} test clips"
    )
    parts = list(record["regression"][0]["pck"])
    rows: list[list[str]] = []
    for row in record["regression"]:
        frames = f"{row['labelled']}{' (all)' if row['labelled'] == train['frames'] else ''}"
        what = "mean pose instead" if row.get("mean_pose") else f"{frames} annotated frames"
        shares = [_percent(row["pck"][part]) for part in parts]
        if ends := row.get("pck_ci95"):
            shares[parts.index("0.1")] += f" [{_percent(ends[0])}, {_percent(ends[1])}]"
        rows.append([what, _number(row["error_px"]), _number(row["error"], 3), *shares])
    _table(
        "Joints read from keypoints by a linear map",
        ["fitted on", "error px", "of the box", *(f"PCK@{part} %" for part in parts)],
        rows,
    )
    joints = [[name, _percent(value)] for name, value in record["per_joint"].items()]
    _table("Each joint, with all annotated frames", ["joint", "PCK@0.1 %"], joints)
    _table(
        "Keypoints under a warp of the picture",
        ["warp", "error px", "if they stayed", "ratio"],
        [
            [r["warp"], _number(r["error_px"]), _number(r["still_px"]), _number(r["ratio"])]
            for r in record["equivariance"]
        ],
    )
    jitter = record["jitter"]
    _table(
        "From frame to frame, mean px",
        ["", "speed", "jitter (second difference)"],
        [
            ["keypoints", _number(jitter["keypoint_speed_px"]), _number(jitter["keypoints_px"])],
            ["joints", _number(jitter["joint_speed_px"]), _number(jitter["joints_px"])],
        ],
    )


def _table(title: str, header: list[str], rows: list[list[str]]) -> None:
    from vpbench.render.text import aligned

    click.echo(f"\n{title}")
    click.echo("\n".join(f"  {line}" for line in aligned([header, *rows])))


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
