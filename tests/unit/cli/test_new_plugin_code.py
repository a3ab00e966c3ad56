"""What generated code does."""

import difflib
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from new_plugin_toys import (
    generate,
)

from vpbench.api import (
    BadData,
    Conditioning,
    MissingData,
    Pair,
    TaskInfo,
)

TASK = TaskInfo("t", 16, 4, 2, None, 2, ("right", "down"), 0, ())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Generates a package and imports one of its modules."""

    def make(kind, module, name="my-thing"):
        generate(tmp_path, name, kind)
        monkeypatch.syspath_prepend(str(tmp_path / f"vpbench-{name}"))
        return importlib.import_module(f"vpbench_{name.replace('-', '_')}.{module}")

    yield make
    for name in [n for n in sys.modules if n.startswith("vpbench_my_")]:
        del sys.modules[name]


def test_ten_edited_lines_change_what_is_predicted(package, tmp_path):
    module = package("end-to-end", "method")
    given = Conditioning(np.full((2, 1, 8, 8, 3), 7, np.uint8), None, None, None, ("a", "b"))
    seeds = np.zeros((2, 3), np.int64)
    before = module.Method(TASK, {}, {}).predict(given, 4, seeds)
    assert before.shape == (2, 3, 4, 8, 8, 3) and (before == 7).all()
    path = Path(module.__file__)
    old = path.read_text()
    new = old.replace("future = np.repeat(last", "future = np.repeat(255 - last")
    path.write_text(new)
    edited = [d for d in difflib.ndiff(old.splitlines(), new.splitlines()) if d[0] == "+"]
    assert 1 <= len(edited) <= 10
    scope = {"__name__": "edited"}
    exec(compile(new, str(path), "exec"), scope)
    assert (scope["Method"](TASK, {}, {}).predict(given, 4, seeds) == 248).all()


class Data:
    """Points or frames that move; batch k depends on k alone."""

    skipped = ()

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        from vpbench.api import Batch

        k = start_step
        while True:
            rng = np.random.default_rng(k)
            length = 2 if isinstance(window, Pair) else window.length
            frames = rng.integers(0, 256, (batch, length, 16, 16, 3), np.uint8)
            label = rng.integers(0, 2, batch)
            points = rng.uniform(-0.5, 0.5, (batch, 1, 4, 3))
            points = (
                points
                + 0.05 * np.arange(length)[:, None, None] * (2 * label - 1)[:, None, None, None]
            )
            points[..., 2] = 1
            yield Batch(
                frames,
                None,
                label,
                np.arange(batch),
                np.zeros((batch, length), np.int64),
                points.astype(np.float32),
            )
            k += 1


class Context:
    """A stage that is asked to stop after so many steps."""

    def __init__(self, stop=None, stored=None):
        self.task, self.device, self.seed, self.threads = TASK, "cpu", 3, 1
        self.trains, self.stop, self.stored, self.losses = (), stop, stored, []
        self.done = stored[1]["tree"]["dict"]["done"] if stored else 0

    @property
    def should_stop(self):
        return self.stop is not None and self.done >= self.stop

    def step(self, total=None):
        self.done += 1
        return self.done

    def log(self, values):
        self.losses.append(values["loss"])

    def checkpoint(self, arrays, meta):
        self.stored = ({k: np.array(v) for k, v in arrays.items()}, json.loads(json.dumps(meta)))

    def resume(self):
        return self.stored

    def component(self, name):
        import torch

        from vpbench.api import Capabilities

        class Still:
            capabilities = Capabilities()

            def detect(self, frames, pose):
                return torch.zeros(*frames.shape[:2], 4, 3)

        return Still()


PARTS = {"motion": "Motion", "detector": "Detector", "translator": "Translator"}


@pytest.mark.parametrize("kind", PARTS)
def test_a_stopped_training_goes_on_to_the_same_bytes(kind, package, tmp_path):
    import torch

    torch.set_num_threads(1)
    module = package(kind, kind)
    spec = importlib.import_module("vpbench_my_thing.spec").SPEC
    params = {**spec.params, "steps": 60, "width": 8, "batch": 4, "n_keypoints": 4}

    def made():
        return getattr(module, PARTS[kind])(TASK, params, (4, "unsupervised"))

    whole, first, second = made(), made(), made()
    straight = Context()
    whole.fit(Data(), straight)
    assert straight.done == 60 and straight.losses
    broken = Context(stop=23)
    first.fit(Data(), broken)
    assert broken.done == 23
    second.fit(Data(), Context(stored=broken.stored))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    second.save(tmp_path / "saved")
    third = made()
    third.load(tmp_path / "saved", "cpu")
    assert all(torch.equal(v, third.state_dict()[k]) for k, v in whole.state_dict().items())


def test_the_motion_model_learns_and_uses_the_label(package):
    import torch

    torch.set_num_threads(1)
    module = package("motion", "motion")
    spec = importlib.import_module("vpbench_my_thing.spec").SPEC
    model = module.Motion(TASK, {**spec.params, "steps": 200}, None)
    ctx = Context()
    model.fit(Data(), ctx)
    assert ctx.losses[-1] < 0.3 * ctx.losses[0]
    points = torch.zeros(2, 1, 5, 3)
    points[..., 2] = 1
    with torch.no_grad():
        made = model.rollout(points, torch.tensor([0, 1]), 4, torch.zeros(2, dtype=torch.int64))
    assert made.shape == (2, 4, 5, 3)
    assert (made[0, -1, :, :2] < -0.1).all() and (made[1, -1, :, :2] > 0.1).all()


def test_the_metric_is_the_same_for_any_order_and_merge(package):
    from vpbench.api import ClipInfo

    module = package("metric", "metric")
    rng = np.random.default_rng(0)
    clips = [
        (
            rng.integers(0, 256, (2, 3, 8, 8, 3), np.uint8),
            rng.integers(0, 256, (3, 8, 8, 3), np.uint8),
            ClipInfo(f"c{k}", 3, 8, 8, None),
        )
        for k in range(5)
    ]
    whole, left, right = (module.Metric(TASK, {}, None) for _ in range(3))
    for k, clip in enumerate(clips):
        whole.update(*clip)
        (left if k % 2 else right).update(*clips[4 - k])
    left.merge(right)
    assert left.result() == whole.result()
    expected = np.mean([np.abs(f.astype(float) - r).mean() for f, r, _ in clips])
    assert whole.result().value == pytest.approx(expected)
    assert module.Metric(TASK, {}, None).result().value is None


def test_the_dataset_is_consistent(package, tmp_path):
    module = package("dataset", "dataset")
    root = importlib.import_module("vpbench_my_thing.tiny").write(tmp_path / "archive")
    data = module.Data({}, root, Path())
    seen = set()
    for split in data.splits():
        clips = data.clips(split)
        assert [c.id for c in clips] == sorted(c.id for c in clips)
        assert not seen & {c.sha256 for c in clips}
        seen |= {c.sha256 for c in clips}
        frames = data.read(clips[1], [5, 3])
        assert frames.shape == (2, 32, 32, 3) and frames.dtype == np.uint8
        x, y, _ = data.pose(clips[1])[5, 2].astype(int)  # the dot that is drawn last
        ground = frames[0][frames[0] != frames[0][y, x]]
        assert ground.size and data.pose(clips[1]).shape == (24, 3, 3)
    assert data.verify() == []
    broken = root / "test" / "down" / "001.npz"
    broken.write_bytes(broken.read_bytes()[:-30])
    assert [p.path for p in data.verify()] == [str(broken)]
    assert "001.npz cannot be read" in data.verify()[0].what
    for nowhere in (None, tmp_path):
        with pytest.raises(MissingData, match="Name its folder with --root DIR"):
            module.Data({}, nowhere, Path()).clips("test")


FOLDER = {"inputs": "", "given_frames": 0}


def stored(folder, clip, frames):
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{clip}.npz", frames=frames)


def test_videos_of_another_program_are_files_or_folders_of_frames(package, tmp_path):
    from PIL import Image

    module = package("folder", "method")
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (2, 4, 8, 8, 3), np.uint8)
    given = Conditioning(np.zeros((2, 1, 8, 8, 3), np.uint8), None, None, None, ("aa", "bb"))
    stored(tmp_path / "videos", "aa", made[0])
    (tmp_path / "videos" / "bb").mkdir()
    for t, frame in enumerate(made[1]):
        Image.fromarray(frame).save(tmp_path / "videos" / "bb" / f"{t:03d}.png")
    method = module.Method(TASK, {**FOLDER, "videos": str(tmp_path / "videos")}, {})
    found = method.predict(given, 4, np.zeros((2, 1), np.int64))
    assert np.array_equal(found[:, 0], made)


def test_all_missing_clips_are_named_and_two_of_one_name_refused(package, tmp_path):
    module = package("folder", "method")
    given = Conditioning(np.zeros((3, 1, 8, 8, 3), np.uint8), None, None, None, ("aa", "bb", "cc"))
    stored(tmp_path / "videos", "bb", np.zeros((4, 8, 8, 3), np.uint8))
    method = module.Method(TASK, {**FOLDER, "videos": str(tmp_path / "videos")}, {})
    with pytest.raises(MissingData, match="no video of 2 of 3 clips: aa, cc"):
        method.predict(given, 4, np.zeros((3, 1), np.int64))
    for clip in ("aa", "cc"):
        stored(tmp_path / "videos", clip, np.zeros((4, 8, 8, 3), np.uint8))
    (tmp_path / "videos" / "bb.mp4").write_bytes(b"x")
    with pytest.raises(BadData, match=r"several videos of bb: bb\.mp4, bb\.npz"):
        method.predict(given, 4, np.zeros((3, 1), np.int64))


def test_a_video_that_begins_with_the_given_frame_is_never_shifted(package, tmp_path):
    module = package("folder", "method")
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (5, 8, 8, 3), np.uint8)
    given = Conditioning(clip[None, :1], None, None, None, ("aa",))
    stored(tmp_path / "videos", "aa", clip)
    params = {**FOLDER, "videos": str(tmp_path / "videos")}
    seeds = np.zeros((1, 1), np.int64)
    with pytest.raises(BadData, match=r"it must be \[4, 8, 8, 3\].*set given_frames=1"):
        module.Method(TASK, params, {}).predict(given, 4, seeds)
    cut = module.Method(TASK, {**params, "given_frames": 1}, {}).predict(given, 4, seeds)
    assert np.array_equal(cut[0, 0], clip[1:])
    stored(tmp_path / "videos", "aa", 255 - clip)
    with pytest.raises(BadData, match="Write the predicted frames only"):
        module.Method(TASK, params, {}).predict(given, 4, seeds)


def test_a_row_of_another_programs_videos_says_so(package):
    package("folder", "method")
    from vpbench.core.methods import _holds

    spec = importlib.import_module("vpbench_my_thing.spec").SPEC
    (rule,) = spec.notes
    assert _holds(rule, {**spec.params, "videos": "somewhere"}) and not _holds(rule, spec.params)
    assert spec.notes[rule].startswith("not sealed")


def test_a_component_is_offered_a_method_with_its_slot(tmp_path):
    tiny = Path(__file__).parents[2] / "plugins" / "tiny_method.py"
    code = "from vpbench.cli.new_plugin import new_plugin\nnew_plugin()"
    done = subprocess.run(
        [sys.executable, "-c", code, "my-eyes", "--kind", "detector", "--into", "tiny", "--json"],
        cwd=tmp_path,
        env={"VPBENCH_PLUGINS": str(tiny), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["next"][2].startswith("vpbench run 'tiny[detector=my-eyes]'")
    spec = (tmp_path / "vpbench-my-eyes/vpbench_my_eyes/spec.py").read_text()
    assert '"n_keypoints": 4' in spec and '("n_keypoints", "unsupervised")' in spec
