"""Frames, poses, noise, threads and devices."""

from __future__ import annotations

import random
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from vpbench import kit
from vpbench.api import MethodFailed, MissingDependency, UsageError, WeightSpec

torch.set_num_threads(1)


def test_importing_the_kit_imports_no_torch():
    code = "import sys, vpbench.kit; dir(vpbench.kit); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_loads():
    for name in kit.__all__:
        value = getattr(kit, name)
        assert callable(value) or isinstance(value, WeightSpec), name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = kit.nonsense


def test_all_256_levels_survive_exactly():
    levels = np.arange(256, dtype=np.uint8)
    frames = np.stack([levels, levels[::-1], np.roll(levels, 7)], -1).reshape(2, 8, 16, 3)
    tensor = kit.to_tensor(frames)
    assert tensor.dtype == torch.float32 and tensor.shape == (2, 3, 8, 16)
    assert tensor.min() == 0 and tensor.max() == 1
    assert np.array_equal(kit.to_uint8(tensor), frames)
    assert torch.equal(kit.to_tensor(torch.from_numpy(frames)), tensor)


def test_channels_are_moved_and_not_reshaped():
    frames = np.zeros((1, 4, 5, 3), np.uint8)
    frames[0, 1, 2] = (255, 51, 0)
    tensor = kit.to_tensor(frames)
    assert tensor[0, :, 1, 2].tolist() == [1.0, np.float32(0.2), 0.0]


def test_read_only_frames_are_copied():
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames.flags.writeable = False
    kit.to_tensor(frames).fill_(1.0)
    assert frames.max() == 0


def test_rounding_is_half_up_after_clipping():
    values = torch.tensor([-3.0, 0.5 / 255, 2.5 / 255, 0.49 / 255, 254.4 / 255, 7.0])
    video = values.double().reshape(1, 1, 6).expand(3, 1, 6)
    assert kit.to_uint8(video)[0, :, 0].tolist() == [0, 1, 3, 0, 254, 255]
    assert kit.to_uint8(torch.full((3, 1, 1), 0.5, dtype=torch.bfloat16)).max() == 128


def test_nan_is_never_a_colour():
    video = torch.zeros(3, 2, 2)
    video[1, 0, 0] = float("nan")
    with pytest.raises(MethodFailed, match="NaN"):
        kit.to_uint8(video)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kit.to_tensor(np.zeros((4, 4, 3), np.float32)),
        lambda: kit.to_tensor(np.zeros((4, 4, 4), np.uint8)),
        lambda: kit.to_uint8(torch.zeros(4, 4, 3)),
        lambda: kit.to_uint8(torch.zeros(3, 4, 4, dtype=torch.uint8)),
        lambda: kit.pose_to_tensor(np.zeros((4, 2), np.float32)),
        lambda: kit.normal(np.zeros((2, 2), np.int64), (3,)),
        lambda: kit.set_threads(0),
    ],
)
def test_wrong_shapes_and_types_are_refused(call):
    with pytest.raises(UsageError):
        call()


def test_pose_becomes_a_tensor_of_its_own():
    pose = np.ones((2, 1, 4, 3), np.float32)
    tensor = kit.pose_to_tensor(pose)
    assert tensor is not None and tensor.dtype == torch.float32
    tensor.zero_()
    assert pose.min() == 1 and kit.pose_to_tensor(None) is None


def test_noise_of_a_clip_depends_on_its_own_seed_only():
    seeds = np.array([5, 2**62 + 1, -9, 5 + 2**32], np.int64)
    whole = kit.normal(seeds, (3, 7))
    assert whole.shape == (4, 3, 7) and whole.dtype == torch.float32
    for b, seed in enumerate(seeds):
        assert torch.equal(kit.normal([int(seed)], (3, 7))[0], whole[b])
    assert torch.equal(kit.normal(torch.from_numpy(seeds[::-1].copy()), (3, 7)), whole.flip(0))
    assert len({whole[b].numpy().tobytes() for b in range(4)}) == 4


def test_noise_is_normal():
    noise = kit.normal(range(64), (1000,))
    assert abs(float(noise.mean())) < 0.02 and abs(float(noise.var()) - 1) < 0.02
    across = torch.corrcoef(noise)[0, 1:]
    assert float(across.abs().max()) < 0.15


def test_all_bits_of_a_generators_seed_count():
    draws = [torch.rand(8, generator=kit.generator(s)) for s in (3, 3, 3 + 2**32, -3, 2**63 - 1)]
    assert torch.equal(draws[0], draws[1])
    assert len({d.numpy().tobytes() for d in draws}) == 4


def test_seeded_repeats_and_restores():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with kit.seeded(7):
        first = draw()
    assert draw() == expected
    with pytest.raises(ValueError, match="stop"), kit.seeded(7):
        assert draw() == first
        raise ValueError("stop")
    with kit.seeded(8):
        assert draw() != first


def test_deterministic_is_given_back():
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    with kit.deterministic(strict=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
    assert (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
    ) == before


def test_threads_of_torch_and_opencv():
    import cv2

    kit.set_threads(2)
    assert torch.get_num_threads() == 2 and cv2.getNumThreads() == 2
    kit.set_threads(1)
    assert torch.get_num_threads() == 1 and cv2.getNumThreads() == 1


def test_devices_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert kit.pick_device() == kit.pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match=r"cuda:0.*no CUDA GPU.*--device cpu"):
        kit.pick_device("cuda:0")
    with pytest.raises(UsageError, match="unknown"):
        kit.pick_device("tpu")


def test_devices_with_two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    names = ["auto", "cuda", "cuda:1", "cpu"]
    assert [kit.pick_device(n) for n in names] == ["cuda:0", "cuda:0", "cuda:1", "cpu"]
    with pytest.raises(UsageError, match=r"has 2 CUDA"):
        kit.pick_device("cuda:2")


def test_fabric_is_named_when_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingDependency, match=r"pip install 'vpbench\[multi-gpu\]'"):
        kit.make_fabric(2)


def test_fabric_gets_its_settings(monkeypatch):
    fake = types.ModuleType("lightning_fabric")
    fake.Fabric = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning_fabric", fake)
    expected = {"devices": [0, 1], "accelerator": "cpu", "strategy": "auto"}
    assert kit.make_fabric((0, 1), "cpu") == expected


def test_keypoints_are_drawn_where_they_are():
    frames = np.zeros((2, 33, 41, 3), np.uint8)
    points = np.zeros((2, 3, 3), np.float32)
    points[:, 0] = (-1, -1, 1)
    points[:, 1] = (1, 0, 1)
    points[:, 2] = (0, 0.5, 0)  # missing
    points[1, 1] = (np.nan, 0, 1)
    out = kit.draw_keypoints(frames, points)
    from vpbench.kit.pictures import point_colour

    assert frames.max() == 0 and out.shape == frames.shape
    assert tuple(out[0, 0, 0]) == tuple(out[1, 0, 0]) == point_colour(0)
    assert tuple(out[0, 16, 40]) == point_colour(1)
    assert out[1, :, 20:].max() == 0 and out[0, 20:, :30].max() == 0
    assert len({point_colour(k) for k in range(60)}) == 60
    with pytest.raises(UsageError, match="fit together"):
        kit.draw_keypoints(frames, points[:1])
