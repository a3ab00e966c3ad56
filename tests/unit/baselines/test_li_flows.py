"""Flow teachers of `li`, and the cache of their flow."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import moving_square
from vpbench.api import Batch, Clip, Corrupt, MissingDependency, MissingWeights, UnknownName
from vpbench.kit import seeded
from vpbench_baselines.li import teachers
from vpbench_baselines.li.flows import FlowStore, flow_batches
from vpbench_baselines.li.refiner import warp
from vpbench_baselines.li.spynet import Pyramid


def nothing(name):
    raise MissingWeights(f"{name} weights are not here (`vpbench weights fetch {name}`)")


def texture(height, width, seed=0):
    """Smooth noise, uint8 [H,W,3]."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 3, 10, 10), np.float32))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    return (fine[0].permute(1, 2, 0).clamp(0, 1) * 255).numpy().astype(np.uint8)


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (-2, 1), (0, -3)])
def test_dis_finds_a_known_shift(shift):
    """Both frames are cut from one picture; first(q) = second(q + shift)."""
    whole = texture(84, 84)
    second = whole[10:74, 10:74]
    first = whole[10 + shift[1] : 74 + shift[1], 10 + shift[0] : 74 + shift[0]]
    flow = teachers.Dis().between(first[None], second[None])
    assert flow.shape == (1, 2, 64, 64) and flow.dtype == np.float32
    inside = flow[0, :, 12:-12, 12:-12]
    assert np.abs(inside - np.array(shift).reshape(2, 1, 1)).max() < 0.35


def test_flow_and_warp_have_one_convention():
    """Warping the earlier frame by the teacher's flow comes nearer to the later one."""
    clip = moving_square(3, 0, 8, 64)
    flow = teachers.Dis().between(clip[5:6], clip[4:5])
    frames = torch.from_numpy(clip[4:6].astype(np.float32) / 255).permute(0, 3, 1, 2)
    there, nowhere, back = (
        float((warp(frames[:1], torch.from_numpy(f * flow))[0] - frames[1]).square().mean())
        for f in (np.float32(1), np.float32(0), np.float32(-1))
    )
    assert there < 0.8 * nowhere and nowhere < back


def test_dis_gives_the_same_bytes_for_any_number_of_threads_and_leaves_it_alone():
    import cv2

    clip = moving_square(1, 1, 4, 64)
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            found.append(teachers.Dis().between(clip[1:], clip[:-1]))
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(*found)


@pytest.mark.parametrize(("size", "factor"), [(32, 6), (64, 3), (128, 2), (192, 1), (300, 1)])
def test_small_frames_are_enlarged_by_whole_factors(size, factor):
    assert teachers.enlargement(size, size + 7, 192) == factor


@pytest.mark.parametrize(
    ("name", "module"), [("dis", "cv2"), ("raft-small", "torchvision.models.optical_flow")]
)
def test_a_teacher_whose_package_is_missing_is_one_sentence(monkeypatch, tmp_path, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=f"the flow teacher {name} needs .*installed") as it:
        teachers.make_teacher(name, lambda _: tmp_path)
    assert "pip install" in str(it.value.fix)


@pytest.mark.parametrize(("name", "asked"), [("raft-small", "raft-small"), ("spynet", "spynet-1")])
def test_a_teacher_whose_weights_are_missing_says_how_to_get_them(name, asked):
    with pytest.raises(MissingWeights, match=f"vpbench weights fetch {asked}"):
        teachers.make_teacher(name, nothing)


def test_unknown_teachers_are_named():
    with pytest.raises(UnknownName, match="brox"):
        teachers.make_teacher("brox", nothing)


def test_raft_is_torchvisions_network_at_128_px(tmp_path):
    optical_flow = pytest.importorskip("torchvision.models.optical_flow")
    with seeded(0):
        model = optical_flow.raft_small(weights=None, progress=False).eval()
    save_file(model.state_dict(), tmp_path / "raft.safetensors")
    raft = teachers.make_teacher("raft-small", lambda _: tmp_path / "raft.safetensors")
    clip = moving_square(0, 0, 3, 64)
    flow = raft.between(clip[1:], clip[:-1])
    assert flow.shape == (2, 2, 64, 64)
    pair = [
        torch.from_numpy(c.astype(np.float32) / 255).permute(0, 3, 1, 2)
        for c in (clip[1:], clip[:-1])
    ]
    large = [torch.nn.functional.interpolate(p, (128, 128), mode="bilinear") for p in pair]
    with torch.inference_mode():
        wanted = model(2 * large[0] - 1, 2 * large[1] - 1)[-1]
    wanted = torch.nn.functional.avg_pool2d(wanted, 2) / 2  # half the size, half the pixels
    np.testing.assert_allclose(flow, wanted.numpy(), atol=2e-3)


def spynet_files(folder, seed=0):
    """Five files as the converter leaves them: tensors in the order of the source."""
    with seeded(seed):
        pyramid = Pyramid()
    paths = {}
    for k, level in enumerate(pyramid.levels):
        state = {f"modules.{n}": v for n, v in level.state_dict().items()}
        order = '["' + '", "'.join(state) + '"]'
        paths[f"spynet-{k + 1}"] = folder / f"{k}.safetensors"
        save_file(state, paths[f"spynet-{k + 1}"], metadata={"order": order})
    return pyramid, paths


def test_spynet_reads_its_five_files(tmp_path):
    pyramid, paths = spynet_files(tmp_path)
    spynet = teachers.make_teacher("spynet", paths.__getitem__)
    clip = moving_square(0, 0, 2, 128)
    flow = spynet.between(clip[1:], clip[:1])
    assert flow.shape == (1, 2, 128, 128)
    pair = [
        torch.from_numpy(c.astype(np.float32) / 255).permute(0, 3, 1, 2)
        for c in (clip[1:], clip[:1])
    ]
    with torch.inference_mode():
        np.testing.assert_allclose(flow, pyramid(*pair).numpy(), atol=1e-5)


def test_each_level_of_spynet_adds_to_twice_the_flow_from_below():
    """Levels that add a constant: the flow doubles on its way up, plus the constant each time."""
    pyramid = Pyramid()
    with torch.no_grad():
        for p in pyramid.parameters():
            p.zero_()
        for level in pyramid.levels:
            level[-1].bias.copy_(torch.tensor([0.25, -0.5]))
        flow = pyramid(torch.rand(1, 3, 32, 48), torch.rand(1, 3, 32, 48))
    factor = 2**5 - 1
    assert torch.allclose(flow[0, 0], torch.full((32, 48), 0.25 * factor))
    assert torch.allclose(flow[0, 1], torch.full((32, 48), -0.5 * factor))


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"w": torch.ones(3)}, tmp_path / "other.safetensors")
    for name in ("raft-small", "spynet"):
        with pytest.raises(Corrupt, match="does not hold the weights of this flow network"):
            teachers.make_teacher(name, lambda _: tmp_path / "other.safetensors")


# the cache ---------------------------------------------------------------------------------------


class Counting:
    """A teacher that counts, and says how far apart in brightness two frames are."""

    def __init__(self, name="counting"):
        self.name, self.pairs = name, 0

    def between(self, first, second):
        self.pairs += len(first)
        gap = (first.astype(float) - second)[..., :2].transpose(0, 3, 1, 2)
        return gap.astype(np.float32) / 10


class Ramps:
    """Clips whose frame t has the brightness 4 t."""

    def __init__(self, frames=9, size=8, level=4):
        t = np.arange(frames, dtype=np.uint8).reshape(-1, 1, 1, 1)
        self.frames = np.broadcast_to(t * level, (frames, size, size, 3)).copy()

    def length(self, split, i):
        return len(self.frames)

    def read(self, split, i, frames):
        return self.frames[list(frames)]

    def batches(self, split, window, batch, start_step=0, stream=""):
        while True:
            times = np.tile(np.arange(window.length), (batch, 1))
            frames = np.stack([self.frames[t] for t in times])
            yield Batch(frames, None, None, np.arange(batch), times)


@pytest.fixture
def store(tmp_path):
    return FlowStore(Ramps(), Counting(), tmp_path)


def test_flow_is_asked_for_once_and_then_read(store, tmp_path):
    times = np.array([1, 2, 3, 5, 7])
    flow = store.between("train", 0, times)
    assert flow.shape == (4, 2, 8, 8) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[:, 0, 0, 0], [0.4, 0.4, 0.8, 0.8], atol=1 / 256)
    asked = store.teacher.pairs
    other = FlowStore(Ramps(), Counting(), tmp_path)
    assert np.array_equal(other.between("val", 3, times), flow)
    assert asked == 18 and other.teacher.pairs == 0  # nine pairs a distance


def test_a_repeated_frame_does_not_move_and_a_cycle_goes_on(store):
    flow = store.between("train", 0, np.array([2, 2, 3]))
    assert not flow[0].any() and flow[1].any()
    assert store.teacher.pairs == 9  # the distance 0 asks nobody
    around = store.between("train", 0, np.array([8, 0]))
    np.testing.assert_allclose(around[0, 0, 0, 0], -3.2, atol=1 / 256)


@pytest.mark.parametrize(
    ("data", "teacher"),
    [(Ramps(level=5), Counting()), (Ramps(), Counting("another")), (Ramps(size=9), Counting())],
)
def test_other_frames_and_teachers_have_flow_of_their_own(store, tmp_path, data, teacher):
    store.between("train", 0, np.array([0, 1]))
    FlowStore(data, teacher, tmp_path).between("train", 0, np.array([0, 1]))
    assert teacher.pairs == 9


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 broken", b"no archive"])
def test_a_damaged_file_is_computed_again(store, tmp_path, damage):
    times = np.array([0, 1, 2])
    flow = store.between("train", 0, times)
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(damage)
    assert np.array_equal(store.between("train", 0, times), flow)
    assert store.teacher.pairs == 9  # it is kept in memory
    later = FlowStore(Ramps(), store.teacher, tmp_path)
    assert np.array_equal(later.between("train", 0, times), flow)
    assert store.teacher.pairs == 18
    assert not list(tmp_path.rglob("*.part"))
    FlowStore(Ramps(), store.teacher, tmp_path).between("train", 0, times)
    assert store.teacher.pairs == 18


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path):
    (tmp_path / "file").write_text("")
    store = FlowStore(Ramps(), Counting(), tmp_path / "file")
    assert store.between("train", 0, np.array([0, 1])).any()


def test_batches_hold_the_flow_between_their_frames(store):
    batch = next(flow_batches(store, "train", Clip(4), 2))
    assert batch.frames.shape == (2, 4, 8, 8, 3) and batch.flows.shape == (2, 3, 2, 8, 8)
    np.testing.assert_allclose(batch.flows[:, :, 0, 0, 0], 0.4, atol=1 / 256)
    ends = next(flow_batches(store, "train", Clip(4), 2, ends=True))
    assert ends.frames[0, :, 0, 0, 0].tolist() == [0, 12] and ends.flows.shape == (2, 1, 2, 8, 8)
    np.testing.assert_allclose(ends.flows[:, 0, 0, 0, 0], 1.2, atol=1 / 256)
