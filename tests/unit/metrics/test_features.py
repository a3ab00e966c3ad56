"""The feature cache: what it computes, what it trusts, what it holds."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from vpbench.api.errors import BadData, HashMismatch, MissingWeights, UsageError, VpbenchError
from vpbench.metrics.feature_queue import FeatureQueue, features
from vpbench.metrics.features import (
    FeatureCache,
    FeatureExtractor,
    Shipped,
    clip_hash,
    real_floor,
    write_shipped,
)
from vpbench.metrics.frechet import frechet


class Projection:
    """Random projection of the first nine frames; counts what it is given."""

    name, dim, batch, min_frames = "projection", 6, 4, 9

    def __init__(self, seed=0, bad=(), error=None):
        self.seed, self.bad, self.error = seed, bad, error
        self.calls, self.names = [], []

    def __call__(self, clips, names=None):
        self.calls.append(clips.shape)
        self.names.append(names)
        if self.error is not None:
            raise self.error
        means = clips[:, :9].reshape(len(clips), 9, -1)[:, :, :192].astype(np.float64)
        matrix = np.random.default_rng(self.seed).normal(size=(9 * 192, 6))
        found = (means.reshape(len(clips), -1)[:, None, :] @ matrix)[:, 0].astype(np.float32)
        for k, clip in enumerate(clips):
            if clip_hash(clip) in self.bad:
                found[k, 2] = np.nan
        return found

    def fingerprint(self):
        return {"net": "projection", "seed": self.seed}


def clip(k, shape=(9, 8, 8, 3)):
    return np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8)


def pairs(numbers):
    return [(f"c{k}", clip(k)) for k in numbers]


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(Projection().fingerprint(), tmp_path / "features")


def never():
    raise AssertionError("nothing is missing")


def test_protocol():
    assert isinstance(Projection(), FeatureExtractor)


def test_hash_is_of_shape_and_bytes():
    frames = clip(0)
    assert clip_hash(frames) == clip_hash(frames.copy()) != clip_hash(clip(1))
    assert clip_hash(frames) != clip_hash(frames.reshape(9, 4, 16, 3))
    flipped = frames[:, :, ::-1]
    assert clip_hash(flipped) == clip_hash(np.ascontiguousarray(flipped)) != clip_hash(frames)
    wanted = hashlib.sha256(b"uint8[9, 8, 8, 3]\n" + frames.tobytes()).hexdigest()
    assert clip_hash(frames) == wanted


def test_only_missing_ones_in_full_batches(cache):
    net = Projection()
    first = features(lambda: net, cache, pairs(range(6)))
    assert net.calls == [(4, 9, 8, 8, 3)] * 2
    assert net.names == [["c0", "c1", "c2", "c3"], ["c4", "c5", "c5", "c5"]]
    assert list(first) == [f"c{k}" for k in range(6)]
    for name, frames in pairs(range(6)):
        assert (first[name] == net(np.stack([frames] * 4))[0]).all()
        assert first[name].dtype == np.float32
    again = features(never, cache, pairs(range(6)))
    assert all((again[k] == first[k]).all() for k in first)
    net.calls.clear()
    features(lambda: net, cache, pairs(range(9)))
    assert net.calls == [(4, 9, 8, 8, 3)]


def test_equal_clips_are_computed_once(cache):
    net = Projection()
    found = features(lambda: net, cache, [(f"c{k}", clip(0)) for k in range(9)])
    assert len(net.calls) == 1
    assert all((v == found["c0"]).all() for v in found.values())


def test_shapes_do_not_share_a_batch(cache):
    net = Projection()
    features(lambda: net, cache, [(f"c{k}", clip(k, (9, 8, 8 + 8 * (k % 2), 3))) for k in range(8)])
    assert sorted(net.calls) == [(4, 9, 8, 8, 3), (4, 9, 8, 16, 3)]


def test_order_does_not_matter(tmp_path):
    found = []
    for k, order in enumerate((range(10), reversed(range(10)))):
        own = FeatureCache({}, tmp_path / str(k))
        found.append(features(Projection, own, pairs(order)))
    assert all((found[0][k] == found[1][k]).all() for k in found[0])


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other clip", "no file", "pickle"])
def test_damaged_files_are_computed_again(cache, damage):
    first = features(Projection, cache, pairs(range(4)))
    path, other = cache.path(clip_hash(clip(2))), cache.path(clip_hash(clip(3)))
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-7])
    elif damage == "flip":
        data[-40] ^= 1
        path.write_bytes(data)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other clip":
        path.write_bytes(other.read_bytes())
    elif damage == "pickle":
        np.save(path, np.array([print], dtype=object), allow_pickle=True)
    else:
        path.unlink()
    net = Projection()
    again = features(lambda: net, cache, pairs(range(4)))
    assert len(net.calls) == 1
    assert all((again[k] == first[k]).all() for k in first)
    features(never, cache, pairs(range(4)))


def test_files_of_another_extractor_are_not_taken(cache):
    features(Projection, cache, pairs(range(2)))
    net = Projection(seed=1)
    foreign = FeatureCache(net.fingerprint(), cache.folder)
    features(lambda: net, foreign, pairs(range(2)))
    assert len(net.calls) == 1


def test_small_files_in_two_levels(cache):
    features(Projection, cache, pairs(range(3)))
    files = [p for p in cache.folder.rglob("*") if p.is_file()]
    assert len(files) == 3
    assert all(p.parent.name == p.name[:2] and p.stat().st_size < 400 for p in files)


def test_shipped_features_spare_the_network(tmp_path, cache):
    net = Projection()
    made = features(lambda: net, cache, pairs(range(3)))
    stored = {clip_hash(clip(k)): made[f"c{k}"] for k in range(3)}
    path = tmp_path / "some.npz"
    pin = write_shipped(path, net.fingerprint(), stored)
    bytes_ = path.read_bytes()
    write_shipped(path, net.fingerprint(), dict(reversed(stored.items())))
    assert path.read_bytes() == bytes_
    shipped = Shipped.read(path, pin)
    fresh = FeatureCache(net.fingerprint(), tmp_path / "fresh", [shipped])
    found = features(never, fresh, pairs(range(3)))
    assert all((found[k] == made[k]).all() for k in made)
    assert not (tmp_path / "fresh").exists()
    with pytest.raises(AssertionError):  # another extractor: ignored
        features(never, FeatureCache({"net": "x"}, tmp_path / "f2", [shipped]), pairs(range(3)))


def test_damaged_shipped_features_are_refused(tmp_path):
    path = tmp_path / "some.npz"
    pin = write_shipped(path, {}, {clip_hash(clip(0)): np.zeros(6, np.float32)})
    data = path.read_bytes()
    flips = [data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :] for k in range(0, len(data), 7)]
    for wrong in (data[:-30], b"nothing", b"", *flips):
        path.write_bytes(wrong)
        with pytest.raises(HashMismatch, match=r"some\.npz is not what was shipped") as caught:
            Shipped.read(path, pin)
        assert "install that again" in caught.value.fix and "elete" not in caught.value.fix


def test_a_fault_names_its_clip(cache):
    net = Projection(bad={clip_hash(clip(5))})
    with pytest.raises(BadData, match="NaN or infinity for the clip 'c5'"):
        features(lambda: net, cache, pairs(range(8)))
    wrong = (clip(0).astype(np.float32), clip(0)[0], clip(0)[..., :2], clip(0)[:0])
    for frames in wrong:
        with pytest.raises(BadData, match="the clip 'odd' is"):
            features(never, cache, [("odd", frames)])
    with pytest.raises(UsageError, match="'a' came twice"):
        features(Projection, cache, [("a", clip(0)), ("a", clip(1))])


def test_a_failing_network_names_its_clips(cache):
    broken = Projection(error=RuntimeError("no memory"))
    with pytest.raises(VpbenchError, match="projection failed on the clips 'c7': no memory"):
        features(lambda: broken, cache, pairs([7]))
    missing = Projection(error=MissingWeights("I3D weights are not here"))
    with pytest.raises(MissingWeights):
        features(lambda: missing, cache, pairs([8]))

    class Wrong(Projection):
        def __call__(self, clips, names=None):
            return super().__call__(clips)[:, :5]

    with pytest.raises(VpbenchError, match=r"features of shape \[4, 5\]"):
        features(Wrong, cache, pairs([9]))


def test_memory_does_not_grow_with_the_clips(cache):
    big = (9, 64, 64, 3)
    queue = FeatureQueue(Projection, cache)
    queue.add("first", clip(1000, big))
    tracemalloc.start()
    try:
        for k in range(60):
            queue.add(f"c{k}", clip(k, big))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * clip(0, big).nbytes
    assert len(queue.finish()) == 61


def test_waiting_frames_are_copies(cache):
    queue = FeatureQueue(Projection, cache)
    frames = clip(0)
    key = queue.add("a", frames)
    frames[:] = 0
    assert (queue.finish()[key] == Projection()(np.stack([clip(0)] * 4))[0]).all()


def vectors(n, seed=0):
    values = np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)
    return {f"c{k:03}": v for k, v in enumerate(values)}


def plain(x, y, in_x, in_y):
    return frechet(x, y)


def test_floor_is_of_disjoint_halves():
    seen = []

    def distance(x, y, in_x, in_y):
        assert (len(in_x), len(in_y)) == (len(x), len(y)) and not set(in_x) & set(in_y)
        seen.append((x, y))
        return frechet(x, y)

    found = real_floor(vectors(21), {}, distance)
    assert found is not None and found.n == 10 and len(seen) == 10
    for x, y in seen:
        rows = {r.tobytes() for r in np.concatenate([x, y])}
        assert len(x) == len(y) == 10 and len(rows) == 20
    assert found.value == pytest.approx(np.mean([frechet(x, y) for x, y in seen]))
    backwards = real_floor(dict(reversed(vectors(21).items())), {}, plain)
    assert backwards == found


def test_floor_keeps_groups_together():
    groups = {f"c{k:03}": f"g{k // 5}" for k in range(40)}
    owner = {v.tobytes(): groups[name] for name, v in vectors(40).items()}

    def distance(x, y, in_x, in_y):
        assert [owner[r.tobytes()] for r in y] == list(in_y)
        assert not {owner[r.tobytes()] for r in x} & {owner[r.tobytes()] for r in y}
        return 0.0

    assert real_floor(vectors(40), groups, distance).n == 20


def test_no_floor_of_too_few():
    assert real_floor(vectors(3), {}, plain) is None
    assert real_floor(vectors(30), dict.fromkeys(vectors(30), "one"), plain) is None
    assert real_floor(vectors(4), {}, plain).n == 2
    assert real_floor(vectors(9), {}, lambda *_: None) is None


def test_predicted_clips_are_halved_as_the_real_ones():
    """So `here` is a distance of pairs; of other clips it is one of as many clips."""
    real, pairs = vectors(20), []

    def distance(x, y, in_x, in_y):
        pairs.append((list(in_x), list(in_y)))
        return frechet(x, y)

    assert real_floor(real, {}, distance, real).here == pytest.approx(0, abs=1e-12)
    assert all(a == b for a, b in pairs[1::2]) and not any(set(a) & set(b) for a, b in pairs[::2])
    assert all(a == b for (a, _), (b, _) in zip(pairs[::2], pairs[1::2], strict=True))
    others = {f"other {k}": v for k, v in vectors(33, 5).items()}
    found = real_floor(real, {}, distance, others)
    assert found.n == 10 and found.here > 0 and len(pairs[-1][0]) == 10
    assert real_floor(real, {}, distance, vectors(10, 3)).here > 0
    assert real_floor(real, {}, distance, vectors(9)).here is None
    assert real_floor(real, {}, distance).here is None


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("lost, gained", [((4,), ()), ((), (13,)), ((0, 7, 19), (2, 11))])
def test_a_clip_that_one_side_lacks_leaves_the_other_pairs_whole(grouped, lost, gained):
    real, fake = vectors(20), vectors(20, 5)
    groups = {name: f"g{k // 3}" for k, name in enumerate(real)} if grouped else {}
    names, pairs = list(real), []
    for k in lost:
        del fake[names[k]]
    for k in gained:
        del real[names[k]]
    owners = {v.tobytes(): name for one in (real, fake) for name, v in one.items()}

    def distance(x, y, in_x, in_y):
        pairs.append([{owners[row.tobytes()] for row in side} for side in (x, y)])
        return frechet(x, y)

    found = real_floor(real, groups, distance, fake)
    assert len(pairs) == 20
    for (half, _), (a, b) in zip(pairs[::2], pairs[1::2], strict=True):
        assert len(a) == len(b) == len(half)
        assert len(a - b) == len(b - a) <= min(len(lost), len(gained))
    backwards = [dict(reversed(one.items())) for one in (real, fake)]
    assert real_floor(backwards[0], groups, plain, backwards[1]) == found
