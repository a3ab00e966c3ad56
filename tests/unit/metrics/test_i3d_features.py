"""Frames to features: resize, range, batches, fingerprint; golden figures with the real weights."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_i3d_network import fill, tensorflow_variables
from weights_here import i3d_path

from vpbench.api.errors import BadData, MissingWeights, UnknownName, UsageError
from vpbench.metrics.features import FeatureExtractor
from vpbench.metrics.i3d import I3DFeatures
from vpbench.metrics.i3d.extract import full_precision
from vpbench.metrics.i3d.network import I3D
from vpbench.metrics.i3d.preprocess import preprocess, resize
from vpbench.metrics.i3d.recipes import RECIPES, Recipe, find_recipe


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of full width, as a file."""
    path = tmp_path_factory.mktemp("i3d") / "i3d.safetensors"
    save_file(tensorflow_variables(fill(I3D())), path)
    return path


def video(n, frames=9, size=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, frames, size, size, 3), np.uint8)


class TestPreprocess:
    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            ("tf1", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]),
            ("half-pixel", [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
            ("align-corners", [0, 0.428571, 0.857143, 1.285714, 1.714286, 2.142857, 2.571429, 3]),
        ],
    )
    def test_vectors(self, rule, expected):
        ramp = torch.arange(4.0)
        columns = ramp.view(1, 1, 4, 1).expand(2, 3, 4, 3)
        assert resize(columns, 3, 8, rule)[1, 2, :, 1].tolist() == pytest.approx(expected, abs=1e-6)
        rows = ramp.view(1, 4, 1, 1).expand(2, 4, 3, 3)
        assert resize(rows, 8, 3, rule)[1, :, 2, 1].tolist() == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("size", [(64, 64), (128, 96), (224, 300), (331, 224), (1, 5)])
    def test_equals_the_direct_formula(self, size):
        frames = np.random.default_rng(0).integers(0, 256, (1, 2, *size, 3), np.uint8)
        found = preprocess(torch.from_numpy(frames)).permute(0, 2, 3, 4, 1).numpy()
        value = frames.astype(np.float64)
        for axis, n in ((2, size[0]), (3, size[1])):
            source = np.arange(224) * n / 224
            low = np.floor(source + 1e-9).astype(int)
            part = np.expand_dims(source - low, tuple(k for k in range(5) if k != axis))
            high = np.minimum(low + 1, n - 1)
            value = value.take(low, axis) * (1 - part) + value.take(high, axis) * part
        assert np.abs(found - (value * 2 / 255 - 1)).max() < 1e-6

    def test_native_size_is_only_scaled(self):
        frames = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16, 1)
        frames = frames.repeat(1, 1, 14, 14, 3)
        found = preprocess(frames)
        assert found.shape == (1, 3, 1, 224, 224)
        assert found.permute(0, 2, 3, 4, 1).is_contiguous()
        back = ((found + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1)
        assert torch.equal(back, frames)
        assert found.min() == -1
        assert found.max() == pytest.approx(1, abs=1e-7)

    @pytest.mark.parametrize("rule", ["tf1", "half-pixel"])
    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_constants_stay(self, rule, level):
        found = preprocess(torch.full((1, 2, 31, 57, 3), level, dtype=torch.uint8), rule)
        assert found.unique().numel() == 1
        assert float(found[0, 0, 0, 0, 0]) == pytest.approx(level * 2 / 255 - 1, abs=1e-6)

    def test_a_frame_does_not_depend_on_others(self):
        frames = torch.from_numpy(video(3, 4, 50))
        whole = preprocess(frames)
        assert torch.equal(whole[2:, :, 1:2], preprocess(frames[2:, 1:2]))

    def test_recipes(self):
        assert find_recipe("tf2018") == Recipe("tf2018", "tf1", 1e-3, "stretch", 1, verified=True)
        assert find_recipe("half-pixel").rule == "half-pixel"
        assert {r.name for r in RECIPES.values()} == set(RECIPES)
        with pytest.raises(UnknownName, match="Did you mean tf2018"):
            find_recipe("tf2019")
        with pytest.raises(UsageError, match="antialias"):
            Recipe("x", rule="antialias")
        with pytest.raises(UsageError, match="positive"):
            Recipe("x", eps=0)
        with pytest.raises(UsageError, match="ddof=2"):
            Recipe("x", ddof=2)
        assert [r.name for r in RECIPES.values() if r.verified] == ["tf2018"]

    @pytest.mark.parametrize(
        ("height", "width"), [(64, 64), (48, 85), (85, 48), (63, 90), (224, 301), (360, 640)]
    )
    def test_a_crop_is_the_middle_of_the_whole_frame(self, height, width):
        frames = np.random.default_rng(0).integers(0, 256, (1, 2, height, width, 3), np.uint8)
        found = preprocess(torch.from_numpy(frames), "half-pixel", "crop")
        assert found.shape == (1, 3, 2, 224, 224)
        assert found.permute(0, 2, 3, 4, 1).is_contiguous()
        short = min(height, width)
        sides = [math.ceil(side * 224 / short) for side in (height, width)]
        planes = torch.from_numpy(frames[0]).permute(0, 3, 1, 2).double()
        whole = torch.nn.functional.interpolate(planes, sides, mode="bilinear", align_corners=False)
        top, left = ((side - 224) // 2 for side in sides)
        wanted = whole[:, :, top : top + 224, left : left + 224] * 2 / 255 - 1
        assert float((found[0].permute(1, 0, 2, 3) - wanted).abs().max()) < 1e-5


class TestFeatures:
    @pytest.mark.parametrize("batch", [1, 2])
    def test_bits_do_not_depend_on_place_or_neighbours(self, weights, batch):
        extract = I3DFeatures(weights, batch=batch)
        clips = video(3)
        found = extract(clips)
        assert found.dtype == np.float32
        assert found.shape == (3, 400)
        assert len(np.unique(found, axis=0)) == 3
        order = [2, 0, 1]
        assert np.array_equal(extract(clips[order]), found[order])
        assert np.array_equal(extract(clips[1:2]), found[1:2])

    def test_batches_agree_up_to_rounding(self, weights):
        clips = video(2)
        one, two = (I3DFeatures(weights, batch=b)(clips) for b in (1, 2))
        assert np.abs(one - two).max() < 1e-5 * np.abs(one).max()

    def test_every_forward_has_the_batch_shape(self, weights):
        extract = I3DFeatures(weights, batch=2)
        seen = []

        def network(x):
            seen.append(tuple(x.shape))
            return x.mean((1, 2, 3, 4))[:, None].repeat(1, 400)

        extract._network = network
        clips = video(5)
        found = extract(clips)
        assert seen == [(2, 3, 9, 224, 224)] * 3
        assert found[:, 0] == pytest.approx(clips.mean((1, 2, 3, 4)) * 2 / 255 - 1, abs=0.05)

    def test_no_clips(self, weights):
        assert I3DFeatures(weights)(video(0)).shape == (0, 400)

    def test_bfloat16_is_close(self, weights):
        clips = video(1)
        exact, coarse = (I3DFeatures(weights, dtype=d)(clips) for d in ("float32", "bfloat16"))
        assert coarse.dtype == np.float32
        assert 0 < np.linalg.norm(coarse - exact) < 0.05 * np.linalg.norm(exact)

    def test_protocol(self, weights):
        extract = I3DFeatures(weights)
        assert isinstance(extract, FeatureExtractor)
        assert (extract.name, extract.dim, extract.batch, extract.min_frames) == ("i3d", 400, 1, 9)

    def test_fingerprint_tells_what_moves_a_feature(self, weights, tmp_path):
        base = I3DFeatures(weights).fingerprint()
        assert base["eps"] == 1e-3
        assert base["resize"] == "224-tf1-bilinear-stretch"
        assert base["layer"] == "logits400-mean"
        assert base["tf32"] is False
        assert len(str(base["weights"])) == 64
        other = tmp_path / "other.safetensors"
        other.write_bytes(weights.read_bytes()[:-1] + b"\0")
        for changed in (
            I3DFeatures(weights, recipe="half-pixel"),
            I3DFeatures(weights, recipe=Recipe("tf2018", eps=1e-5)),
            I3DFeatures(weights, dtype="bfloat16"),
            I3DFeatures(weights, batch=2),
            I3DFeatures(other),
        ):
            assert changed.fingerprint() != base
            assert changed._network is None

    def test_torch_is_left_as_it_was(self, weights):
        def state():
            b = torch.backends
            return (
                b.cuda.matmul.fp32_precision,
                b.cudnn.conv.fp32_precision,
                b.mkldnn.matmul.fp32_precision,
                b.mkldnn.conv.fp32_precision,
                torch.get_float32_matmul_precision(),
                torch.get_num_threads(),
                torch.is_grad_enabled(),
                torch.is_inference_mode_enabled(),
                torch.get_default_dtype(),
            )

        start, before = torch.get_float32_matmul_precision(), state()
        I3DFeatures(weights)(video(1))
        assert state() == before
        torch.set_float32_matmul_precision("medium")
        try:
            before = state()
            with full_precision():
                assert state()[:4] == ("ieee",) * 4
            assert state() == before
        finally:
            torch.set_float32_matmul_precision(start)

    def test_a_feature_that_is_not_finite_names_the_clip(self, weights):
        extract = I3DFeatures(weights)
        clips = video(3)
        clips[1] = 255

        def network(x):
            return torch.where(x.mean() > 0.9, torch.nan, 0.0).repeat(1, 400)

        extract._network = network
        with pytest.raises(BadData, match="for the clip 'b'"):
            extract(clips, names=["a", "b", "c"])
        with pytest.raises(BadData, match="number 1 of 3"):
            extract(clips)

    def test_refusals(self, weights, tmp_path):
        extract = I3DFeatures(weights)
        with pytest.raises(UsageError, match="at least 9 frames a clip, got 8"):
            extract(video(1, frames=8))
        with pytest.raises(BadData, match="float64"):
            extract(video(1).astype(float))
        with pytest.raises(BadData, match=r"\[n,T,H,W,3\]"):
            extract(video(1)[0])
        with pytest.raises(UsageError, match="2 clips have 1 names"):
            extract(video(2), names=["a"])
        with pytest.raises(UsageError, match="batch must be at least 1"):
            I3DFeatures(weights, batch=0)
        with pytest.raises(UnknownName, match="float16"):
            I3DFeatures(weights, dtype="float16")
        with pytest.raises(MissingWeights):
            I3DFeatures(tmp_path / "none")


def test_the_package_is_lazy():
    code = "import sys, vpbench.metrics.i3d; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.weights
@pytest.mark.parametrize(
    ("frames", "expected", "tolerance"),
    [(15, 133.908, 0.01), (10, 569.77, 0.01), (16, 152.90, 0.01), (32, 130.49, 0.01)],
)
def test_black_against_white(frames, expected, tolerance):
    """The example of the original script: all 0 against all 255, squared distance of the logits."""
    extract = I3DFeatures(i3d_path())
    clips = np.zeros((2, frames, 64, 64, 3), np.uint8)
    clips[1] = 255
    black, white = extract(clips).astype(np.float64)
    assert np.square(black - white).sum() == pytest.approx(expected, abs=tolerance)


@pytest.mark.weights
def test_float32_is_close_to_float64():
    from vpbench.metrics.i3d.folded import fold
    from vpbench.metrics.i3d.network import load

    net = load(i3d_path())
    with torch.inference_mode():
        x = preprocess(torch.from_numpy(video(1, 16, 64)))
        true = fold(net, torch.float64)(x)
        found = fold(net)(x)
    assert float((found - true).norm() / true.norm()) < 1e-5
    assert float((found - true).abs().max() / true.abs().max()) < 1e-5
