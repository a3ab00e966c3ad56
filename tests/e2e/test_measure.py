"""`vpbench measure`: worker processes, what is left in the cache, interrupts."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.helpers import start, vpbench
from tests.e2e.media_matrix.cell import alpha_scene
from tests.e2e.media_matrix.making import Film, write

pytestmark = pytest.mark.e2e

CLIPS = 37
"""Three parts, the last one smaller."""


@pytest.fixture
def sides(tmp_path):
    for side, seed in (("real", 0), ("fake", 1)):
        rng = np.random.default_rng(seed)
        (tmp_path / side).mkdir()
        for k in range(CLIPS):
            frames = rng.integers(0, 256, (9, 21, 21, 3), np.uint8)
            np.savez(tmp_path / side / f"{k:03d}.npz", frames=frames)
    return tmp_path


METRICS = """
import os, sys
import numpy as np
from vpbench.api import MetricSpec, Score
with open(os.environ["SEEN"], "a") as stream:
    print(os.getpid(), file=stream)
print("hello")
FIELDS = dict(kind="clip", direction="up", unit="", version=1, default=False)
SPEC = [
    MetricSpec("clumsy", ":Clumsy", "means", **FIELDS),
    MetricSpec("failing", ":Failing", "raises", **FIELDS),
]
import vpbench.metrics.frames as frames
frames.Psnr.update = lambda self, fake, real, clip: None
class Clumsy:
    spec = SPEC[0]
    def __init__(self, task, params, ctx): self.seen = {}
    def update(self, fake, real, clip):
        print("there")
        self.seen[clip.id] = float(fake.mean() - real.mean())
    def merge(self, other): self.seen |= other.seen
    def result(self):
        known = dict(sorted(self.seen.items()))
        return Score(sum(known.values()) / len(known), len(known), known)
    def fingerprint(self): return {}
class Failing(Clumsy):
    spec = SPEC[1]
    def update(self, fake, real, clip): EXIT
"""


def measure(sides, *words, code=0, env=None, metrics="psnr,ssim"):
    done = vpbench(
        *("measure", "real", "fake", "--metrics", metrics, "--json", *words), cwd=sides, env=env
    )
    assert done.code == code, (done.code, done.err)
    return done


def test_the_number_of_workers_does_not_change_a_bit(sides):
    one, two, three, every = (
        measure(sides, *words).out
        for words in (("--workers", 1), ("--workers", 2), ("--workers", 3), ())
    )
    assert one == two == three == every
    sized = [measure(sides, "--size", 16, "--frames", 5, "--workers", w).out for w in (1, 3)]
    assert sized[0] == sized[1] != one


def test_no_clip_stays_in_the_cache(sides):
    env = {"VPBENCH_HOME": str(sides / "home")}
    measure(sides, env=env)
    left = [p for p in (sides / "home").rglob("*") if p.is_file()]
    size = sum(p.stat().st_size for p in left)
    clips = sum(p.stat().st_size for p in sides.glob("*/*.npz"))
    assert left and size < clips / 10, [(str(p), p.stat().st_size) for p in left]


@pytest.fixture
def plugin(sides):
    (sides / "metrics.py").write_text(METRICS)
    return {"VPBENCH_PLUGINS": f"{sides / 'metrics.py'}:SPEC", "SEEN": str(sides / "seen")}


def test_the_metric_of_a_plugin_has_a_process_of_its_own(sides, plugin):
    honest = measure(sides).json()["scores"]
    done = measure(sides, "--workers", 2, metrics="clumsy,psnr,ssim", env=plugin)
    scores = done.json()["scores"]
    assert {name: scores[name] for name in ("psnr", "ssim")} == honest
    real, fake = (
        np.array([np.load(p)["frames"].mean() for p in sorted((sides / s).glob("*.npz"))])
        for s in ("real", "fake")
    )
    assert scores["clumsy"]["value"] == pytest.approx((fake - real).mean(), abs=1e-9)
    assert list(scores) == ["clumsy", "psnr", "ssim"]


@pytest.mark.parametrize(
    ("does", "code", "says"),
    [
        ("raise KeyError('x')", 1, "the metric 'failing' failed: KeyError: 'x'"),
        ("sys.exit(0)", 1, "the metric 'failing' failed: SystemExit: 0"),
        ("os._exit(0)", 1, "a process that scores clips was killed"),
    ],
)
def test_the_metric_of_a_plugin_that_fails_is_one_sentence(sides, plugin, does, code, says):
    (sides / "metrics.py").write_text(METRICS.replace("EXIT", does))
    done = measure(sides, metrics="psnr,failing", env=plugin, code=code)
    assert f"error: {says}" in done.err and not done.out


def children(pid):
    """Process ids of all that descends from a process."""
    found, pending = set(), [pid]
    while pending:
        parent = pending.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                new = {int(word) for word in task.read_text().split()} - found
            except OSError:  # it has ended
                continue
            found |= new
            pending += new
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_leaves_no_process_and_no_partial_file(sides, plugin, times):
    waits = METRICS.replace("EXIT", "import time; time.sleep(600)")
    (sides / "metrics.py").write_text(waits)
    env = {**plugin, "VPBENCH_HOME": str(sides / "home")}
    process = start(
        *("measure", "real", "fake", "--metrics", "psnr,failing", "--workers", 2),
        cwd=sides,
        env=env,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (sides / "seen").exists() or len(children(process.pid)) < 2:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    time.sleep(1)
    below = children(process.pid)
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err and not out, (out, err)
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in below if alive(pid)]
    assert not list((sides / "home").rglob(".tmp-*"))
    (sides / "metrics.py").unlink()
    again = measure(sides, env={"VPBENCH_HOME": env["VPBENCH_HOME"]})
    assert json.loads(again.out)["scores"]["psnr"]["n"] == CLIPS


def test_what_readers_decided_is_said(tmp_path):
    for side, fps, alpha in (("real [v2]", 30, 255), ("fake", 8, 100)):
        (tmp_path / side).mkdir()
        frames = alpha_scene(9, 16, 16)
        frames[..., 3] = alpha
        write(tmp_path / side / "a.mov", Film(frames, "qtrle", "argb", fps))
    done = vpbench("measure", "real [v2]", "fake", "--metrics", "psnr", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    notes = json.loads(done.out)["notes"]
    assert notes == [
        "fake: 1 of 1 clips transparent, shown on white",
        "frame rates differ: real [v2] has 30 frames a second, fake 8",
    ]
    plain = vpbench("measure", "real [v2]", "fake", "--metrics", "psnr", cwd=tmp_path)
    assert all(f"note: {note}" in plain.out for note in notes)
    words = ("folder:fake[ground=none,rate=30]", "folder:fake[ground=none,rate=30]")
    again = vpbench("measure", *words, "--metrics", "psnr", "--json", cwd=tmp_path)
    assert json.loads(again.out)["frames"] == -(-9 * 30 // 8)
    verified = vpbench("data", "verify", 'folder:"real [v2]"[horizon=4]', cwd=tmp_path)
    assert verified.code == 0 and "1 test" in verified.out
    shown = vpbench("data", "preview", "folder:fake[horizon=4]", cwd=tmp_path)
    assert "note: 1 of 1 clips: transparent, shown on white." in shown.out


def test_messages_name_the_clips_and_keep_the_root(tmp_path):
    for side, name, shape in (
        ("real", "a", (9, 16, 16, 3)),
        ("real", "long", (12, 16, 16, 3)),
        ("fake", "a", (9, 16, 16, 3)),
        ("fake", "wide", (9, 16, 24, 3)),
    ):
        (tmp_path / side).mkdir(exist_ok=True)
        np.savez(tmp_path / side / f"{name}.npz", frames=np.zeros(shape, np.uint8))
    done = vpbench("measure", "real", "fake", cwd=tmp_path)
    assert done.code == 2 and "have 9 to 12 frames (" in done.err and "real: long)" in done.err
    done = vpbench("measure", "real", "fake", "--frames", "9", cwd=tmp_path)
    assert done.code == 2 and "16x16 px, fake: wide 24x16)" in done.err
    done = vpbench("data", "verify", "penn", cwd=tmp_path, env={"VPBENCH_DATA": ""})
    assert done.code == 5 and "error: penn needs the folder" in done.out
    (tmp_path / "nemo").mkdir()
    for part in ("train", "test"):
        (tmp_path / "nemo" / part).mkdir()
        for k in range(2):
            (tmp_path / "nemo" / part / f"00{k}_deliberate_smile_1.png").write_bytes(b"x")
    done = vpbench("run", "copy-last", "--dataset", "nemo", "--root", "nemo", cwd=tmp_path)
    assert done.code == 4 and "more: vpbench data verify nemo --root" in done.err
