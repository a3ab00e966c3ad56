"""The parts of the two-stream recogniser against closed forms."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from vpbench.api.errors import UnknownName, UsageError
from vpbench.metrics.action.two_stream import flow as fl
from vpbench.metrics.action.two_stream import networks as nets
from vpbench.metrics.action.two_stream import views as vw
from vpbench.metrics.action.two_stream.settings import PRESETS, Settings, preset
from vpbench.metrics.action.two_stream.train import balanced
from vpbench.metrics.flow import flow_fields

SMALL = Settings(
    backbone="test_resnet", short_side=32, crop=24, steps=2, temporal_steps=2, batch=4, views=3
)


def textured(shifts, size=64, margin=24, seed=0):
    """A smooth random scene moved by whole pixels (x, y) in each frame, uint8 [T,size,size,3]."""
    rng = np.random.default_rng(seed)
    scene = ndimage.gaussian_filter(rng.normal(size=(size + 2 * margin,) * 2), 2.0)
    scene = 127 + 100 * scene / np.abs(scene).max()
    frames = [
        scene[margin - y : margin - y + size, margin - x : margin - x + size] for x, y in shifts
    ]
    return np.repeat(np.stack(frames)[..., None], 3, axis=3).astype(np.uint8)


@pytest.mark.parametrize("kind", ["farneback", "dis"])
@pytest.mark.parametrize("move", [(3, 0), (0, -2), (2, 1), (0, 0)])
def test_flow_is_how_far_the_scene_moves_to_the_right_and_down(kind, move):
    frames = textured([(k * move[0], k * move[1]) for k in range(3)])
    fields = flow_fields(frames, kind)
    assert fields.shape == (2, 64, 64, 2) and fields.dtype == np.float32
    inner = fields[:, 12:-12, 12:-12]
    for axis in (0, 1):
        assert np.median(inner[..., axis]) == pytest.approx(move[axis], abs=0.05)
    if move == (0, 0):
        assert np.abs(inner).max() <= 0.02  # away from borders


def test_flow_is_clipped_at_20_pixels_scaled_and_without_its_mean():
    rng = np.random.default_rng(1)
    flow = rng.normal(0, 15, (3, 7, 5, 2)).astype(np.float32)
    coded = fl.encode(flow)
    clipped = np.clip(flow.astype(float), -20, 20) / 20
    expected = clipped - clipped.mean(axis=(1, 2), keepdims=True)
    assert coded == pytest.approx(expected, abs=1e-6)
    assert fl.encode(np.full((1, 4, 4, 2), 5, np.float32)) == pytest.approx(np.zeros((1, 4, 4, 2)))


def test_a_stack_holds_x_and_y_of_ten_fields_in_turn():
    fields = np.arange(12)[:, None, None, None] * 10 + np.zeros((12, 3, 4, 2))
    fields[..., 1] += 1
    stacked = fl.stack(fields.astype(np.float32), 2)
    assert stacked.shape == (3, 4, 20)
    assert stacked[0, 0].tolist() == [10 * k + c for k in range(2, 12) for c in (0, 1)]


def test_a_mirror_image_has_the_flow_of_mirrored_frames():
    frames = textured([(0, 0), (2, 1), (4, 2)])
    seen = flow_fields(np.ascontiguousarray(frames[:, :, ::-1]))
    made = fl.mirrored(flow_fields(frames), flow=True)
    inner = (slice(None), slice(12, -12), slice(12, -12))
    assert np.abs(np.median(seen[inner] - made[inner], axis=(1, 2))).max() < 0.05
    assert np.median(made[inner][..., 0]) == pytest.approx(-2, abs=0.05)
    stacked = np.concatenate([fl.mirrored(flow_fields(frames), flow=True)] * 5)
    expected = fl.stack(stacked, 0)
    assert np.array_equal(
        fl.mirrored(fl.stack(np.concatenate([flow_fields(frames)] * 5), 0), flow=True), expected
    )


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(3, 25, [0, 1, 2]), (25, 25, list(range(25))), (31, 3, [0, 15, 30]), (1, 25, [0])],
)
def test_views_are_equally_spaced(count, most, expected):
    assert fl.spaced(count, most) == expected


@pytest.mark.parametrize("channels", [20, 3, 1])
def test_cross_modality_keeps_the_sum_over_channels(channels):
    kernel = torch.randn(5, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    adapted = nets.cross_modality(kernel, channels)
    assert adapted.shape == (5, channels, 7, 7)
    torch.testing.assert_close(adapted.sum(1), kernel.sum(1))
    assert (adapted == adapted[:, :1]).all()


@pytest.mark.e2e
def test_pretrained_weights_are_taken_over_but_for_the_classifier():
    with nets.as_if_alone(1):
        source = nets.make_network("spatial", SMALL, 5).state_dict()
    for stream in nets.STREAMS:
        with nets.as_if_alone(2):
            network = nets.make_network(stream, SMALL, 3)
        before = {k: v.clone() for k, v in network.state_dict().items()}
        assert nets.start_from(network, source, stream) == len(source) - 2
        after = network.state_dict()
        assert torch.equal(after["fc.weight"], before["fc.weight"])
        first = after["conv1.0.weight"]
        assert first.shape[1] == nets.CHANNELS[stream]
        torch.testing.assert_close(first.sum(1), source["conv1.0.weight"].sum(1))
        assert torch.equal(after["layer1.0.conv1.weight"], source["layer1.0.conv1.weight"])
    with pytest.raises(UsageError, match="three colours"):
        nets.start_from(network, {"other.weight": source["fc.weight"]}, "spatial")


def test_random_numbers_of_others_stay_as_they_are():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with nets.as_if_alone(0):
        torch.rand(7)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("height", "width"), [(48, 48), (40, 60), (33, 47)])
def test_views_of_a_clip(height, width):
    clip = np.random.default_rng(0).integers(0, 256, (13, height, width, 3), np.uint8)
    item = vw.material(clip, SMALL)
    assert min(item.frames.shape[1:3]) == 32 and len(item.fields) == 12
    seen = {stream: vw.clip_views(item, stream, SMALL) for stream in nets.STREAMS}
    assert {k: v.shape for k, v in seen.items()} == {
        "spatial": (6, 24, 24, 3),
        "temporal": (6, 24, 24, 20),
    }
    assert np.array_equal(seen["spatial"][3], seen["spatial"][0][:, ::-1])
    assert np.array_equal(seen["temporal"][3][..., 0], -seen["temporal"][0][:, ::-1, 0])
    for stream, channels in nets.CHANNELS.items():
        one = vw.training_view(item, stream, SMALL, np.random.default_rng(5))
        assert one.shape == (24, 24, channels)
        again = vw.training_view(item, stream, SMALL, np.random.default_rng(5))
        assert np.array_equal(one, again)


@pytest.mark.parametrize(("height", "width"), [(20, 20), (17, 24), (31, 40)])
def test_a_small_clip_is_kept_small_and_has_the_same_views(height, width):
    clip = np.random.default_rng(1).integers(0, 256, (13, height, width, 3), np.uint8)
    small = vw.material(clip, SMALL)
    assert small.frames.shape == clip.shape
    whole = vw.Material(small.pictures(range(13)), small.flows(0, 12).astype(np.float16), 32)
    assert min(whole.frames.shape[1:3]) == min(whole.fields.shape[1:3]) == 32
    for stream in nets.STREAMS:
        assert np.array_equal(
            vw.clip_views(small, stream, SMALL), vw.clip_views(whole, stream, SMALL)
        )
        for seed in range(5):
            one, other = (
                vw.training_view(item, stream, SMALL, np.random.default_rng(seed))
                for item in (small, whole)
            )
            assert np.array_equal(one, other)


def test_classes_are_drawn_equally_often():
    labels = [0] * 90 + [1] * 9 + [2]
    drawn = balanced(labels, 6000, np.random.default_rng(0))
    counts = np.bincount([labels[i] for i in drawn])
    assert np.abs(counts - 2000).max() < 150  # four standard deviations
    assert set(drawn) == set(range(100))


def test_presets_are_read_back_and_others_refused():
    for settings in PRESETS.values():
        assert Settings.of(json.loads(json.dumps(settings.fields()))) == settings
    assert preset("cpu", 5).steps == preset("cpu", 5).temporal_steps == 5
    with pytest.raises(UnknownName):
        preset("gpu")
    with pytest.raises(UsageError, match="timm makes no network"):
        bad = Settings(**{**SMALL.fields(), "backbone": "no-such-net"})
        nets.make_network("spatial", bad, 2)


def test_one_frame_has_no_flow():
    with pytest.raises(UsageError, match="two frames"):
        flow_fields(textured([(0, 0)]))
    with pytest.raises(UsageError, match="DIS"):
        flow_fields(np.zeros((2, 8, 8, 3), np.uint8), "dis")
