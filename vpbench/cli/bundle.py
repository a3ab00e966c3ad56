"""bundle: copy trained stages into plugin packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpbench.cli import options
from vpbench.cli.show import Progress, print_json

if TYPE_CHECKING:
    from vpbench.harness.training.bundle import Bundled

_ADD = "add"
_EPILOG = """\b
Examples:
  vpbench bundle runs/puppets/stages/mine.keypoints-0123456789abcdef src/my_package
  vpbench bundle STAGE_FOLDER src/my_package --limit-mb 8 --replace
  vpbench bundle STAGE_FOLDER --zip keypoints.zip --url https://example.org/keypoints.zip

`vpbench bundle add` may be written in full; its --help lists the options."""


class _DefaultsToAdd(click.Group):
    """`bundle STAGE PACKAGE` is short for `bundle add STAGE PACKAGE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_ADD, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultsToAdd, epilog=_EPILOG, subcommand_metavar="STAGE_FOLDER [PACKAGE]")
def bundle() -> None:
    """Put a trained stage into a plugin's package, or into a zip for a web address.

    Users of the plugin then need not train. Checkpoint, record and training log are copied;
    pictures and the name of your machine are not. Prints the Checkpoint(...) for the plugin's spec.
    """


@bundle.command(
    _ADD,
    short_help="Copy a stage into a package (the default).",
    epilog=_EPILOG.partition("\n\n")[0],
)
@click.argument("stage", type=click.Path(path_type=Path), metavar="STAGE_FOLDER")
@click.argument("package", type=click.Path(path_type=Path), required=False)
@click.option(
    "--limit-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="MB",
    help="Refuse a larger stage.",
)
@click.option("--replace", is_flag=True, help="Replace an existing copy in the package.")
@click.option(
    "--zip", "archive", type=click.Path(path_type=Path), metavar="FILE", help="Write a zip instead."
)
@click.option("--url", metavar="ADDRESS", help="The https address where the zip will be published.")
@options.output
def add(
    stage: Path,
    package: Path | None,
    limit_mb: float,
    replace: bool,
    archive: Path | None,
    url: str | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Put a trained stage into a plugin's package, or into a zip for a web address.

    STAGE_FOLDER is a finished stage in RUNS/<task>/stages, PACKAGE the folder of the plugin's
    Python package. Prints the Checkpoint(...) for the plugin's spec.
    """
    from vpbench.harness.training.bundle import bundle_into_package, bundle_into_zip

    if package is not None and archive is None and url is None:
        bundled = bundle_into_package(stage, package, limit_mb, replace=replace)
    elif package is None and archive is not None and url is not None:
        bundled = bundle_into_zip(stage, archive, url, limit_mb)
    else:
        raise click.UsageError("Give a package, or --zip FILE with --url ADDRESS.")
    if as_json:
        print_json(_json(bundled))
    else:
        click.echo(bundled.line)
        click.echo(f"{bundled.path}: {bundled.size / 1e6:.2f} MB", err=True)
    return 0


_ATTEST_EPILOG = """\b
Examples:
  vpbench bundle attest src/my_package/checkpoints/mine.keypoints-0123456789abcdef
  vpbench bundle attest runs/puppets/stages/mine.fit-0123456789abcdef --json"""


@bundle.command(
    "attest", short_help="Show that changed code still trains it as before.", epilog=_ATTEST_EPILOG
)
@click.argument("stage", type=click.Path(path_type=Path, exists=True), metavar="STAGE_FOLDER")
@options.storage
@options.output
def attest(stage: Path, runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """Train the first steps of a stage again and compare their losses with those stored beside it.

    Where they agree (relative difference at most 2e-3 at the first step, twice as much at each
    further one), the code as it is now is recorded beside the checkpoint. Where they do not, each
    difference is printed, and the exit code is 4.
    """
    from vpbench.core.registry import registry
    from vpbench.core.rundir import StageDir
    from vpbench.harness.training.attest import attest as work

    with Progress() as progress:
        differences = work(StageDir(stage), registry(), options.folders(runs, offline), progress)
    if as_json:
        print_json(
            {
                "schema": "vpbench.attest/1",
                "stage": str(stage),
                "ok": not differences,
                "differences": differences,
            }
        )
    elif differences:
        click.echo(f"{stage}: the code no longer trains it as before.")
        for line in differences:
            click.echo(f"  {line}")
    else:
        click.echo(f"{stage}: the first losses agree; its code is attested.")
    return 4 if differences else 0


def _json(bundled: Bundled) -> dict[str, object]:
    return {
        "schema": "vpbench.bundle/1",
        "owner": bundled.owner,
        "stage": bundled.stage,
        "key": bundled.key,
        "path": str(bundled.path),
        "size": bundled.size,
        "source": bundled.source,
        "sha256": bundled.sha256 or None,
        "checkpoint": bundled.line,
    }
