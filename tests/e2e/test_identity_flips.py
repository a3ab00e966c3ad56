"""Single bits that flip in stored files: each is found and named, or the same scores are printed.

200 flips over every kind of file, one kind at a time, each undone before the next.
"""

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.helpers import folder
from tests.e2e.identity import ROOT, flip
from vpbench.api.errors import Corrupt, HashMismatch, VpbenchError
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths
from vpbench.core.registry import limited_registry
from vpbench.core.rundir import StageDir
from vpbench.core.shipped import REINSTALL
from vpbench.core.stat_cache import stat_cache
from vpbench.harness.inputs.task_data import open_task_data
from vpbench.harness.results.compare import compare

pytestmark = pytest.mark.e2e


def flips(files, count, check):
    """`check(path)` after each of some flips, spread over files of one kind, seeded."""
    paths = sorted(p for p in files if p.is_file() and p.stat().st_size)
    assert paths, "there is no such file"
    chance = random.Random(len(paths))
    for k in range(count):
        path = paths[k % len(paths)] if count >= len(paths) else chance.choice(paths)
        whole, times = path.read_bytes(), path.stat()
        position, bit = chance.randrange(len(whole)), chance.randrange(8)
        flip(path, position, bit)
        try:
            check(path)
        except AssertionError as error:
            raise AssertionError(f"{path}, byte {position} of {len(whole)}, bit {bit}") from error
        finally:
            path.write_bytes(whole)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def shown(finished):
    """What `compare` prints of the finished runs, computed in this process each time."""
    paths = Paths(finished / "runs", finished / "home", offline=True)
    methods = [MethodRef("noise", {}), MethodRef("tiny", {})]

    def look():
        stat_cache.cache_clear()
        options = RunOptions(references=False)
        return compare(methods, options, limited_registry((), ()), paths).json()

    look.before = look()
    (group,) = look.before["groups"]
    assert [row["method"] for row in group["rows"]] == ["noise", "tiny"]
    assert all(row["notes"] == [] for row in group["rows"])
    look.place, look.paths = finished, paths
    return look


def found_or_same(look):
    """A check: the file is named, or the very same is printed."""

    def check(path):
        try:
            now = look()
        except VpbenchError as error:
            assert path.name in str(error), error
            check.found += 1
            return
        assert now == look.before
        check.same += 1

    check.found = check.same = 0
    return check


def found(look):
    """A check: the file is named."""
    check = found_or_same(look)

    def strict(path):
        check(path)
        assert not check.same, "nobody has noticed"

    return strict


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("run.json", 20),
        ("predictions/0*.npz", 14),
        ("predictions/0*.json", 14),
        ("predictions/MANIFEST.json", 14),
        ("scores/*.json", 24),
    ],
)
def test_what_a_score_stands_on(shown, kind, count):
    flips((shown.place / "runs").glob(f"*/*/*/{kind}"), count, found(shown))


def test_tables_of_code(shown):
    """Blanks between the fields of a table carry nothing."""
    check = found_or_same(shown)
    flips((shown.place / "runs").glob("*/*/*/code/*.json"), 16, check)
    assert check.found >= 12


def test_what_was_accepted_and_what_failed(shown):
    from vpbench.core.plan import make_plan
    from vpbench.harness.results.run_record import write_failure
    from vpbench.harness.results.run_state import accept_code

    runs = shown.paths.runs
    (noise,) = runs.glob("*/noise/*")
    dataset = _dataset(shown)
    task = open_task_data(TaskRef(dataset=dataset), limited_registry((), ()), shown.paths).task
    options = RunOptions(references=False)
    plan = make_plan([MethodRef("noise", {})], options, task, limited_registry((), ()), runs)
    run = plan.runs[0]
    assert run.folder.path == noise
    tables = [row["code"] for row in run.folder.read_manifest()["shards"]]
    ran = run.folder.read_code(tables[0])
    assert ran is not None
    accept_code(run.folder, tables, "predictions", ran)
    shown.before = shown()
    flips([run.folder.accepted], 10, found(shown))
    write_failure(run, task, "not today", 1, "")
    shown.before = shown()
    assert "not today" in str(shown.before)
    flips([run.folder.failure], 10, found(shown))


def _dataset(shown):
    return shown.before["groups"][0]["task"]["dataset"]


def test_pictures_logs_and_provenance_move_nothing(shown):
    files = [
        p
        for name in ("preview", "events", "env")
        for p in (shown.place / "runs").glob(f"*/*/*/{name}/*")
    ]
    check = found_or_same(shown)
    flips(files, 12, check)
    assert check.found == 0


def test_trained_stages(shown):
    """Read before they are used; the curve of the training is for people."""
    stages = list((shown.place / "runs").glob("*/stages/*"))
    read = [p for s in stages for p in [s / "stage.json", *s.glob("checkpoint/**/*")]]
    flips(read, 16, _unreadable_stage)
    check = found_or_same(shown)
    flips([p for s in stages for p in s.glob("train.jsonl")], 3, check)
    assert check.found == 0


def _unreadable_stage(path):
    folder = next(p for p in path.parents if (p / "stage.json").is_file())
    shipped = folder.parent.name == "checkpoints"
    with pytest.raises(Corrupt, match=path.name.replace(".", r"\.")) as error:
        StageDir(folder, shipped=shipped).read()
    assert not shipped or error.value.fix == REINSTALL


def test_indices_of_the_cache_only_cost_time(shown):
    """Of clips, of digests of code, of hashes of files."""
    dataset = _dataset(shown)
    check = found_or_same(shown)

    def of_clips():
        stat_cache.cache_clear()
        ref = TaskRef(dataset=dataset)
        return open_task_data(ref, limited_registry((), ()), shown.paths).task.clips_hash

    before = of_clips()

    def same(path):
        assert of_clips() == before
        check(path)

    home = shown.place / "home"
    assert (home / "code-digests.json").is_file()
    flips([*home.glob("*.json"), *home.glob("scan/*.json")], 15, same)
    assert check.found == 0


def test_clips_in_the_cache_are_made_again(shown):
    """Whoever reads them gets the same frames, and a note that names the file."""
    dataset = _dataset(shown)

    def read(notes):
        task_data = open_task_data(TaskRef(dataset=dataset), limited_registry((), ()), shown.paths)
        task_data.clip_cache.note = notes.append
        items = task_data.task.test
        return [(task_data.given(i).tobytes(), task_data.targets(i).tobytes()) for i in items]

    before = read([])
    seen = 0

    def check(path):
        nonlocal seen
        notes = []
        assert read(notes) == before
        if notes:
            assert path.name in notes[0]
            seen += 1

    cached = list((shown.place / "home").glob("clips/*/*/*.npy"))
    flips(cached, 12, check)
    items = open_task_data(TaskRef(dataset=dataset), limited_registry((), ()), shown.paths).task
    assert seen >= 12 * 2 * len(items.test) // (len(cached) + 1) // 2  # others are training clips


def test_rendered_puppets(rendered_puppets, tmp_path):
    from vpbench.data.puppets.dataset import Puppets

    home = shutil.copytree(rendered_puppets, tmp_path / "puppets-home")
    (frames,) = Puppets({}, None, home).folder.glob("test-frames.npy")
    files = [frames, frames.with_name("test-joints.npy"), frames.with_name("test-sha256")]

    def check(path):
        """Frames and joints of a clip have one hash, so either may be named."""
        dataset = Puppets({}, None, home)
        with pytest.raises(Corrupt, match=r"test-(frames\.npy|joints\.npy|sha256) in the cache is"):
            for clip in dataset.clips("test"):
                dataset.read(clip, [0])

    flips(files, 9, check)


def test_features_in_the_cache(tmp_path):
    """Of vpbench's own cache: a damaged file is not there."""
    from vpbench.metrics.features import FeatureCache

    cache = FeatureCache({"network": "mine"}, tmp_path / "features")
    keys = [f"{k:064x}" for k in range(5)]
    for k, key in enumerate(keys):
        cache.put(key, np.full(7, k, np.float32))
    flips((tmp_path / "features").rglob("*.npy"), 10, lambda p: _absent(cache, p.stem))
    assert [cache.get(key)[0] for key in keys] == [0, 1, 2, 3, 4]


def _absent(cache, key):
    assert cache.get(key) is None


@pytest.mark.parametrize("home", ["plugins/vpbench_keypoints", "baselines/vpbench_baselines"])
def test_checkpoints_that_come_with_a_package(home, tmp_path):
    folder = shutil.copytree(ROOT / home / "checkpoints", tmp_path / "checkpoints")
    read = [*folder.glob("*/stage.json"), *folder.glob("*/checkpoint/**/*")]
    flips(read, 8, _unreadable_stage)


def test_data_that_come_with_vpbench(tmp_path, monkeypatch):
    """Manifests of splits and clips, shipped features, the table of the I3D weights."""
    from importlib import resources

    from vpbench.data import splits
    from vpbench.data.puppets import manifest
    from vpbench.metrics import video
    from vpbench.metrics.action import probe_store
    from vpbench.metrics.action.two_stream import store
    from vpbench.metrics.weights import i3d

    own = shutil.copytree(
        ROOT / "vpbench", tmp_path / "vpbench", ignore=shutil.ignore_patterns("*.py", "*.pyc")
    )
    monkeypatch.setattr(
        resources, "files", lambda name: Path(own, *name.split(".")[1:]), raising=True
    )
    monkeypatch.setattr(video, "SHIPPED", own / "metrics" / "shipped")
    monkeypatch.setattr(probe_store, "SHIPPED", own / "metrics" / "action" / "shipped")
    recognisers = "metrics/action/recognisers"
    monkeypatch.setattr(store, "SHIPPED", own / recognisers)
    readers = {
        "metrics/shipped/puppets.npz": video.shipped_features,
        "metrics/action/shipped/puppets.npz": lambda: probe_store.shipped_probe(""),
        f"{recognisers}/puppets-cpu/recogniser.json": store.shipped_recognisers,
        f"{recognisers}/puppets-cpu/weights.safetensors": store.shipped_recognisers,
        "data/puppets/manifest.json": manifest.load_manifest.__wrapped__,
        "data/splits/penn.json": lambda: splits.read.__wrapped__("penn"),
        "data/splits/penn-puppets.json": lambda: splits.read.__wrapped__("penn-puppets"),
        f"metrics/weights/{i3d.TABLE}": i3d.table.__wrapped__,
    }
    for name, read in readers.items():
        before = read()

        def check(path, read=read, before=before):
            try:
                now = read()
            except HashMismatch as error:
                assert path.name in error.message and error.fix == REINSTALL
            else:
                assert repr(now) == repr(before)  # a blank between two fields of JSON

        flips([own / name], 5, check)


def test_a_clip_of_a_folder(clips, tmp_path):
    """The user's own files: another hash, or refused by name."""
    ref = TaskRef(dataset=folder(clips))
    paths = Paths(tmp_path / "runs", tmp_path / "home", offline=True)

    def opened():
        return open_task_data(ref, limited_registry((), ()), paths).task.clips_hash

    before = opened()

    def check(path):
        try:
            assert opened() != before
        except VpbenchError as error:
            assert path.name in str(error)

    flips((clips / "test").glob("*/*.npz"), 8, check)
    assert opened() == before
