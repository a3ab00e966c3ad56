"""The entry point: verbs load when they are called, so that `--help` is quick."""

from __future__ import annotations

import codecs
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from vpbench import __version__
from vpbench.cli.groups import LazyGroup
from vpbench.core.interrupts import EXIT_CODE, watch_interrupts

VERBS = {
    "run": (
        "vpbench.cli.run:run",
        "Fit if needed, predict the test clips, score, print the table.",
    ),
    "fit": ("vpbench.cli.run:fit", "Train the stages of methods; no predictions."),
    "predict": ("vpbench.cli.predict:predict", "Predict the test clips, or from any image."),
    "score": ("vpbench.cli.score:score", "Score finished predictions; the method is not needed."),
    "compare": ("vpbench.cli.compare:compare", "Print the scores of finished runs as tables."),
    "report": ("vpbench.cli.report:report", "Write a page about one finished run."),
    "pack": ("vpbench.cli.pack:pack", "Pack finished runs into one file."),
    "import": ("vpbench.cli.pack:import_", "Put the runs of such a file into the runs folder."),
    "board": ("vpbench.cli.board:board", "Make, check and verify entries of leaderboards."),
    "measure": ("vpbench.cli.measure:measure", "Score one folder of clips against another."),
    "figure": (
        "vpbench.cli.figure:figure",
        "Draw predictions, sweeps, translations, ablations, failures.",
    ),
    "study": ("vpbench.cli.study:study", "Have people rank videos, and analyse their answers."),
    "plan": ("vpbench.cli.run:plan", "Show what would run, and what is refused and why."),
    "data": ("vpbench.cli.data:data", "List, prepare, check and look at datasets."),
    "weights": ("vpbench.cli.weights:weights", "List, fetch and verify pretrained weights."),
    "controllability": (
        "vpbench.cli.controllability:controllability",
        "Predict under wrong labels, and count what is recognised as them.",
    ),
    "probe": (
        "vpbench.cli.probe:probe",
        "Measure a keypoint detector: joints, warps of the picture, jitter.",
    ),
    "recogniser": (
        "vpbench.cli.recogniser:recogniser",
        "Train, list, publish and install networks that recognise actions.",
    ),
    "prune": ("vpbench.cli.prune:prune", "Remove runs that were set aside as out of date."),
    "list": ("vpbench.cli.catalogue:list_", "List methods, components, datasets, metrics."),
    "info": ("vpbench.cli.info:info", "Show what a plugin declares, or what a run holds."),
    "check": ("vpbench.cli.check:check", "Run the conformance checks on a plugin."),
    "new-plugin": ("vpbench.cli.new_plugin:new_plugin", "Write a new plugin package."),
    "bundle": ("vpbench.cli.bundle:bundle", "Put a trained stage into a plugin's package."),
    "doctor": ("vpbench.cli.doctor:doctor", "Check the installation, the folders and the plugins."),
}

EPILOG = """\b
Examples:
  vpbench list
  vpbench run copy-last nearest-train --dataset puppets
  vpbench run copy-last --dataset 'folder:clips[group=person]'
  vpbench compare copy-last nearest-train
  vpbench measure real/ generated/

Exit codes: 0 ok, 1 a method failed, 2 the command is wrong, 3 incomparable, 4 corrupt data or
results, 5 missing data, weights or dependencies, 70 a bug in vpbench, 130 interrupted."""


_INTERRUPTED = "interrupted; run the same command to resume."


@click.group(
    cls=LazyGroup,
    members=VERBS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="vpbench")
def cli() -> None:
    """Benchmark for class-conditional video prediction.

    Given one image and an action label, predict the video. A number that vpbench prints can be
    trusted and reproduced, and two numbers that cannot be compared never share a column.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the contract's codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] != ["_job"]:
        _use_threads(1)  # scores must not depend on the number of cores
    if words[:1] == ["_job"]:
        if words[1:2] != ["--serve"]:
            _use_threads(_threads_of(words[1:]))
        from vpbench.harness.jobs.worker import main as work

        sys.exit(work(words[1:]))
    if words == ["_specs"]:
        from vpbench.core.registry import serve_specs

        sys.exit(serve_specs())
    if words == ["_inputs"]:
        from vpbench.harness.inputs.dataset_worker import main as serve

        sys.exit(serve())
    if words == ["_python"]:
        from vpbench.cli.library import main as serve

        sys.exit(serve())
    sys.exit(_run(words))


def _use_threads(count: int) -> None:
    """Set what BLAS and OpenMP read when numpy and torch are imported."""
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ):
        os.environ[name] = str(count)


def _threads_of(words: list[str]) -> int:
    """The threads that a job file asks for; 1 where it cannot be read, which the worker reports."""
    import json

    try:
        with open(words[0], encoding="utf-8") as stream:
            return int(json.load(stream)["threads"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return 1


def _run(words: list[str]) -> int:
    debug = "--debug" in words
    _prepare_streams()
    output = sys.stdout
    watch_interrupts(_stopping, _INTERRUPTED)
    try:
        result: Any = cli.main(words, prog_name="vpbench", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # click takes it for the end of its input
            return _explain(error.__cause__, debug)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would end it in mid-sentence
        click.echo(_INTERRUPTED, err=True)
        return EXIT_CODE
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _drop_output()
        return 0
    except SystemExit:
        if sys.stdout is output:
            raise
        _drop_output()  # click wraps it where the reader has seen enough, and would end with 1
        return 0
    except OSError as error:
        if not _output_is_lost(error):
            return _explain(error, debug)
        _drop_output()
        click.echo(f"error: standard output cannot be written: {error.strerror}.", err=True)
        return 5
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _explain(error, debug)


def _stopping() -> None:
    click.echo("\nstopping; Ctrl-C again stops at once.", err=True)


def _prepare_streams() -> None:
    """Have all three standard streams, and let none fail at a letter that it does not know.

    Signs become others of the same width: as question marks, all marks of a table would be one.
    """
    codecs.register_error("vpbench", _in_plain_letters)
    for number, mode in enumerate(("r", "w", "w")):
        try:
            os.fstat(number)
        except OSError:  # closed by the shell: another file would take its number
            os.dup2(os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY), number)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vpbench")


_PLAIN = str.maketrans("≈▼▲↑↓▴▾─┄│├└·–—−…✓✗×“”ʳᶜᵃᵗˣᵒ", '~v^^v^v--||`.---.+xx""rcatxo')


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """What an output that lacks a letter shows instead."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(c if c.isascii() else "?" for c in letters), error.end


def _output_is_lost(error: OSError) -> bool:
    """Whether a failed write was one to standard output, which says so again."""
    if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
        return False
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError as again:
        return again.errno == error.errno
    return False


def _drop_output() -> None:
    """Send what is left to print nowhere, so that the end of Python does not fail at it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: Exception, debug: bool) -> int:
    """One sentence on standard error, and the exit code."""
    from vpbench.api.errors import VpbenchError, printable
    from vpbench.core.trouble import sentence_of

    if debug:
        import traceback

        traceback.print_exception(error)
    known = error if isinstance(error, VpbenchError) else sentence_of(error)
    if known is not None:
        click.echo(f"error: {known}", err=True)
        return known.exit_code
    text = printable(f"{type(error).__name__}: {error}")
    click.echo(f"error: a bug in vpbench: {text}", err=True)
    if not debug:
        click.echo("Add --debug for the traceback, and please report it.", err=True)
    return 70
