"""A plugin's dataset is read by a process that does nothing else, whatever its code does."""

import json
import time

import pytest

from tests.e2e.helpers import TINY, predictions, vpbench

pytestmark = pytest.mark.e2e

DATASET = """
import os, sys
from pathlib import Path
import numpy as np
from vpbench.api import ClipInfo, DatasetSpec, TaskSpec, WindowRule
with open(os.environ["SEEN"], "a") as stream:
    print(*sys.argv[1:], os.getpid(), file=stream)
{imported}
SPEC = DatasetSpec("noisy", ":Noisy", "noise", tasks=(TaskSpec("small", WindowRule(1, 8), 16),))
class Noisy:
    spec = SPEC
    def __init__(self, options, root, cache):
        self.root = root or (Path(os.environ["WHERE"]) if "WHERE" in os.environ else None)
{made}
    def prepare(self, root=None): pass
    def verify(self, root=None): return []
    def splits(self): return ("train", "val", "test")
    def clips(self, split):
{listed}
        count = len(list(self.root.iterdir())) if self.root else 6
        return [
            ClipInfo(f"{{split}}{{k}}", 12, 24, 20, np.int64(k % 2), sha256={sha}, group=f"g{{k}}")
            for k in range(count)
        ]
    def read(self, clip, indices):
{read}
        rng = np.random.default_rng(sum(map(ord, clip.id)))
        video = rng.integers(0, 255, (clip.frames, clip.height, clip.width, 3), np.uint8)
        return {frames}[list(indices)]
    def pose(self, clip):
{posed}
        rng = np.random.default_rng(sum(map(ord, clip.id)))
        return rng.uniform(0, 20, (clip.frames, 2, 3)).astype(np.float32)
    def class_names(self): return ("a", "b")
    def joint_names(self): return ("left", "right")
"""

REPLACES = """
import torch, numpy as np
torch.backends.mkldnn.enabled = False
torch.set_default_dtype(torch.float64)
os.environ["CLUMSY"] = "1"
os.environ["OMP_NUM_THREADS"] = "7"
os.chdir("/")
np.random.seed(0)
np.seterr(all="raise")
import vpbench.media.geometry as geometry
geometry.Geometry.frames = lambda self, frames, crop=True: frames * 0
import vpbench.harness.references.trivial as trivial
trivial.CopyLast.frame = lambda self, given: given.frames[:, -1] * 0
import vpbench.harness.inputs.clip_cache as clip_cache
clip_cache.ClipCache.window = lambda self, clip, indices: None
import vpbench.metrics.frames as frames
frames.Psnr.update = lambda self, fake, real, clip: None
import vpbench.core.hashing as hashing
hashing.digest = lambda value: "0" * 64
"""


def inside(text):
    return "\n".join(f"        {line}" for line in text.splitlines())


class Bench:
    """A folder with a dataset plugin in one file, and the processes that have imported it."""

    def __init__(self, path):
        self.path = path
        self.log = path.with_name(f"{path.name}-seen")  # not beside the plugin, where files count
        self.env = {
            "VPBENCH_PLUGINS": f"{path / 'noisy.py'},{TINY}",
            "VPBENCH_HOME": str(path / "home"),
            "SEEN": str(self.log),
        }

    def write(self, imported="", made="", listed="", read="", posed="", frames="video", sha="''"):
        parts = {"made": made, "listed": listed, "read": read, "posed": posed}
        parts = {name: inside(text) for name, text in parts.items()}
        text = DATASET.format(imported=imported, frames=frames, sha=sha, **parts)
        (self.path / "noisy.py").write_text(text)
        return self

    def run(self, *words, code=0, methods=("copy-last",), metrics="psnr"):
        done = vpbench(
            *("run", *methods, "--dataset", "noisy", "--no-references", "--metrics", metrics),
            *("--workers", 2, "--threads", 1, *words),
            cwd=self.path,
            env=self.env,
        )
        assert done.code == code, (done.code, done.err, done.out)
        return done

    def seen(self):
        """Verbs of the processes that have imported the plugin, in order."""
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    def scores(self, method="copy-last"):
        """Per-clip values of the only run."""
        (only,) = self.every(method)
        return only

    def every(self, method="copy-last"):
        """Per-clip values of each run."""
        paths = self.path.glob(f"runs/*/{method}/????????/scores/psnr*.json")
        return [json.loads(path.read_text())["per_clip"] for path in paths]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def honest(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("honest")).write()


@pytest.mark.parametrize("when", ["imported", "read"])
def test_what_a_dataset_does_to_its_process_reaches_no_row_and_no_score(bench, honest, when):
    methods = ("copy-last", "noise", "tiny")
    honest.run(methods=methods)
    bench.write(**{when: REPLACES}).run(methods=methods)
    for method in methods:
        assert predictions(bench.path / "runs", method) == predictions(honest.path / "runs", method)
        assert bench.scores(method) == honest.scores(method)
    assert set(bench.seen()) == {"_specs", "_inputs"}
    rows = vpbench("compare", *methods, "--json", cwd=bench.path, env=bench.env).json()
    for row in rows["groups"][0]["rows"]:
        assert not any("changes" in note for note in row["notes"]), row


def test_what_a_dataset_prints_stays_out_of_the_json(bench):
    speaks = "print('hello'); os.write(1, b'there'); sys.stdout.flush()"
    places = dict.fromkeys(("imported", "made", "listed", "read", "posed"), speaks)
    done = bench.write(**places).run("--json")
    assert done.json()["runs"][0]["status"] == "ok"
    assert "hello" not in done.out and "there" not in done.out


@pytest.mark.parametrize(
    ("when", "does", "says"),
    [
        ("made", "sys.exit(0)", "the dataset 'noisy' failed: SystemExit: 0"),
        ("listed", "raise KeyError('where')", "the dataset 'noisy' failed: KeyError: 'where'"),
        ("read", "sys.exit(0)", "the dataset 'noisy' failed: SystemExit: 0"),
        ("read", "os._exit(0)", "the dataset 'noisy': its process exited with 0"),
        (
            "posed",
            "os.kill(os.getpid(), 9)",
            "the dataset 'noisy': its process was killed by SIGKILL",
        ),
    ],
)
def test_a_dataset_that_fails_is_one_sentence(bench, when, does, says):
    done = bench.write(**{when: does}).run(code=1)
    assert done.err.count("error:") == 1 and f"error: {says}" in done.err
    assert not list(bench.path.glob("runs/*/*/*/scores"))


@pytest.mark.parametrize("does", ["raise KeyError('where')", "sys.exit(0)", "os._exit(0)"])
def test_a_dataset_that_cannot_be_imported_is_a_broken_row(bench, does):
    done = bench.write(imported=does).run(code=2)
    assert "foldr" not in done.err and done.err.count("error:") == 1
    listed = vpbench("data", "list", "--json", cwd=bench.path, env=bench.env).json()["items"]
    (row,) = [r for r in listed if r["name"] == "noisy"]
    assert row["status"] == "broken" and row["reason"]
    assert vpbench("run", "copy-last", "--help", cwd=bench.path, env=bench.env).code == 0


def test_a_finished_run_opens_nothing(bench):
    bench.write()
    time.sleep(2.1)  # a file that has just been written may change without a trace
    bench.run(methods=("copy-last", "tiny"))
    before = bench.seen()
    done = bench.run(methods=("copy-last", "tiny"))
    assert "copy-last: finished before, skipped" in done.err
    assert bench.seen() == before


@pytest.mark.parametrize("known", [True, False])
def test_a_change_of_its_files_or_of_its_code_is_seen(bench, known):
    """Also where nobody is told which folder it reads."""
    root = bench.path.with_name(f"{bench.path.name}-data")
    root.mkdir()
    words = ("--root", root) if known else ()
    bench.env |= {} if known else {"WHERE": str(root)}
    for k in range(6):
        (root / f"{k}.txt").write_text("x")
    bench.write(sha="f'{split}{k}'")
    time.sleep(2.1)
    bench.run(*words)
    assert len(bench.scores()) == 6
    (root / "7.txt").write_text("x")
    bench.run(*words)
    assert sorted(len(s) for s in bench.every()) == [6, 7]
    source = (bench.path / "noisy.py").read_text()
    (bench.path / "noisy.py").write_text(source + "\n# a comment\n")
    assert "finished before, skipped" in bench.run(*words).err
    (bench.path / "noisy.py").write_text(source.replace("return video[", "return (255 - video)["))
    assert "finished before, skipped" not in bench.run(*words).err
    assert sorted(len(s) for s in bench.every()) == [6, 7, 7]
