"""Running the command line as a user does: every command is a process of its own.

`start` and `real` start Python afresh; `vpbench` forks a process that is warm (`tests.warm`).
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests import warm

PLUGINS = Path(__file__).parents[1] / "plugins"
TINY = str(PLUGINS / "tiny_method.py")


@dataclass
class Result:
    code: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


def start(*words, cwd, env=None, **more):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "vpbench", *map(str, words)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def real(*words, cwd=None, env=None, timeout=240):
    """A command in a fresh process: where Python's start is part of what is tested."""
    process = start(*words, cwd=cwd, env=env)
    out, err = process.communicate(timeout=timeout)
    assert "Traceback" not in err, err
    return Result(process.returncode, out, err)


def vpbench(*words, cwd, env=None, timeout=240):
    """A command, its exit code and what it has written."""
    if not warm.AVAILABLE:
        return real(*words, cwd=cwd, env=env, timeout=timeout)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = warm.server().start(
            "vpbench",
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=out,
            stderr=err,
            strict=True,
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        out.seek(0), err.seek(0)
        result = Result(code, out.read(), err.read())
    assert "Traceback" not in result.err, result.err
    return result


def folder(clips, **options):
    """`folder:PATH[...]` at 16 px with 8 frames to predict, unless told otherwise."""
    chosen = {"size": 16, "horizon": 8, **options}
    return f"folder:{clips}[{','.join(f'{k}={v}' for k, v in chosen.items())}]"


def predictions(runs, method):
    """Shard name -> bytes of the predictions of the only run of a method; not of retired ones."""
    (found,) = Path(runs).glob(f"*/{method}/????????/predictions")
    return {p.name: p.read_bytes() for p in sorted(found.glob("*.npz"))}


def checkpoints(runs):
    """Stage and file name -> bytes of all trained stages."""
    base = Path(runs)
    return {
        p.relative_to(base).as_posix(): p.read_bytes()
        for p in sorted(base.glob("*/stages/*/checkpoint/**/*"))
        if p.is_file()
    }


def few_puppets(place):
    """The environment with the dataset `few`: rendered clips with joints and classes, 64 px."""
    plugin = place / "few.py"
    plugin.write_text(
        "from vpbench.api import DatasetSpec, TaskSpec, WindowRule\n"
        "from vpbench.testing.clips import SampleClips\n"
        "TASK = TaskSpec('few', WindowRule(5, 6, short='loop'), 64, native=True)\n"
        "SPEC = DatasetSpec('few', ':Few', 'a few puppets', tasks=(TASK,), rendered=True)\n"
        "class Few(SampleClips):\n"
        "    spec = SPEC\n"
        "    def __init__(self, options, root, cache): pass\n"
    )
    return {"VPBENCH_HOME": str(place), "VPBENCH_PLUGINS": f"{plugin}:SPEC"}
