"""The pieces below the dataset: draws, the sine table, the body, the rasteriser, real joints."""

from __future__ import annotations

import ast
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from vpbench.data.puppets import raster, trig
from vpbench.data.puppets.actions import CLASS_NAMES, FRAMES, perform, smooth
from vpbench.data.puppets.backgrounds import KINDS, Place, render_place
from vpbench.data.puppets.clips import describe_clip
from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.figure import (
    FOREARM,
    THIGH,
    UPPER_ARM,
    body_shapes,
    make_track,
    visibility,
)
from vpbench.data.puppets.raster import Shape, new_canvas, pack, paint_all
from vpbench.data.puppets.scene import shade_floor, track_of
from vpbench.data.puppets.skeleton import (
    BONES,
    FLIP_PAIRS,
    JOINT_NAMES,
    draw_proportions,
    flip_order,
    two_bones,
)

GREY = np.full((64, 64, 3), 128, dtype=np.uint8)


def drawn(joints, look):
    """A figure from joints [T,13,2] alone on grey: frames [T,64,64,3], visibility [T,13]."""
    track = make_track(joints, None, None, None, None, None)
    canvas = new_canvas(GREY, len(track.joints))
    shade_floor(canvas, track, int(track.joints[:, 11:13, 1].max()) + track.height // 25)
    paint_all(canvas, body_shapes(track, look, 64))
    return canvas.pixels(), visibility(track, canvas)


def capsule(ax: int, ay: int, bx: int, by: int, radius: int, **more: object) -> Shape:
    """One capsule in one frame; coordinates and radius in 1/16 px."""
    settings: dict[str, object] = dict(rim=0, shade=0, part=1)
    return Shape(
        a=np.array([[[ax, ay]]]),
        b=np.array([[[bx, by]]]),
        ra=np.array([radius]),
        rb=np.array([radius]),
        colours=np.array([[255, 255, 255]]),
        depth=np.array([0]),
        seen=np.array([True]),
        **(settings | more),  # type: ignore[arg-type]
    )


def test_draws_are_sha256_of_the_name() -> None:
    first = hashlib.sha256(b"a/b#0").digest()
    assert Draws("a/b").below(1 << 64) == int.from_bytes(first[:8], "little")
    assert Draws("a").child("b").below(1000) == Draws("a/b").below(1000)
    values = [Draws(f"n{i}").between(3, 5) for i in range(200)]
    assert set(values) == {3, 4, 5}
    assert all(-1 <= Draws(f"r{i}").real(-1, 1) < 1 for i in range(100))


def test_the_sine_table_is_the_sine() -> None:
    exact = [round(math.sin(2 * math.pi * i / trig.STEPS) * trig.ONE) for i in range(trig.STEPS)]
    assert np.abs(trig.SINE - exact).max() <= 1
    angles = np.linspace(-720, 720, 999)
    assert np.abs(trig.sin_deg(angles) - np.sin(np.radians(angles))).max() < 1e-4
    assert np.abs(trig.cos_deg(angles) - np.cos(np.radians(angles))).max() < 1e-4


def test_a_flip_swaps_left_and_right_and_twice_is_the_identity() -> None:
    order = flip_order()
    assert np.array_equal(order[order], np.arange(13))
    for left, right in FLIP_PAIRS:
        assert JOINT_NAMES[left].replace("left", "right") == JOINT_NAMES[right]
    assert len(JOINT_NAMES) == 13 and JOINT_NAMES[0] == "head"
    assert {j for bone in BONES for j in bone} == set(range(1, 13))


def test_two_bones_keep_their_lengths_and_reach_the_target() -> None:
    root, target = np.zeros((3, 3)), np.array([[0.2, 0.1, 0], [0.0, 0.0, 0.31], [5.0, 0, 0]])
    middle, end = two_bones(root, target, 0.17, 0.15, np.array([[0.0, -1.0, 0.3]] * 3))
    assert np.allclose(np.linalg.norm(middle - root, axis=1), 0.17)
    assert np.allclose(np.linalg.norm(end - middle, axis=1), 0.15)
    assert np.allclose(end[:2], target[:2])
    assert np.linalg.norm(end[2]) == pytest.approx(0.32, rel=0.01)


def test_smooth_curves_pass_through_keys_and_keep_still_what_stands_still() -> None:
    times = np.array([0.0, 4.0, 9.0, 12.0])
    values = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 1.0], [-1.0, 5.0]])
    assert np.allclose(smooth(times, values, times), values)
    between = smooth(times, values, np.linspace(4, 9, 50))
    assert (between == [2.0, 1.0]).all()
    assert smooth(times, values, np.array([-3.0, 99.0])).tolist() == [[0, 1], [-1, 5]]


@pytest.mark.parametrize("label", range(9))
def test_bodies_are_rigid_and_planted_while_they_wait(label: int) -> None:
    draws = Draws(f"test/{label}")
    body = draw_proportions(draws)
    joints = perform(label, draws, body).body.joints
    for a, b, length in ((3, 5, body.forearm), (4, 2, body.upper_arm), (7, 9, body.thigh)):
        assert np.allclose(np.linalg.norm(joints[:, a] - joints[:, b], axis=1), length, atol=1e-6)
    assert np.isfinite(joints).all() and len(joints) == FRAMES
    moved = np.abs(joints[:4] - joints[:1]).max()
    assert moved < 0.05 < np.abs(joints[5:21] - joints[4:5]).max()
    assert np.abs(joints[:4, 11:] - joints[:1, 11:]).max() < 0.01


def test_hands_hold_the_bar_still() -> None:
    body = draw_proportions(Draws("bar"))
    joints = perform(CLASS_NAMES.index("pull_ups"), Draws("bar"), body).body.joints
    hanging = joints[10:19]
    assert np.ptp(hanging[:, 5:7], axis=0).max() < 0.03
    assert np.ptp(hanging[:, 0, 1]) > 0.15


def test_coverage_is_the_area_of_the_capsule() -> None:
    canvas = new_canvas(np.zeros((64, 64, 3), np.uint8), 1)
    paint_all(canvas, [capsule(16 * 12 + 5, 16 * 20 + 3, 16 * 45 + 9, 16 * 41 + 11, 64)])
    length, radius = math.hypot(33.25, 21.5), 4.0
    area = 2 * radius * length + math.pi * radius * radius
    assert canvas.pixels()[0, ..., 0].sum() / 255 == pytest.approx(area, rel=0.02)


def test_a_capsule_is_symmetric_and_antialiased() -> None:
    canvas = new_canvas(np.zeros((33, 33, 3), np.uint8), 1)
    paint_all(canvas, [capsule(16 * 16, 16 * 16, 16 * 16, 16 * 16, 120)])
    picture = canvas.pixels()[0, ..., 0]
    assert np.array_equal(picture, picture[::-1]) and np.array_equal(picture, picture.T)
    assert len(np.unique(picture)) > 5


def test_nearer_shapes_hide_farther_ones_in_each_frame() -> None:
    canvas = new_canvas(GREY, 2)
    shapes = []
    for number, depth in ((1, [0, 9]), (2, [5, 5])):
        one = capsule(512, 512, 512, 512, 100, part=number)
        shapes.append(
            Shape(
                a=np.repeat(one.a, 2, 0),
                b=np.repeat(one.b, 2, 0),
                ra=one.ra,
                rb=one.rb,
                colours=one.colours,
                depth=np.array(depth),
                seen=np.array([True, True]),
                part=number,
            )
        )
    paint_all(canvas, shapes)
    assert canvas.parts()[0, 32, 32] == 2 and canvas.parts()[1, 32, 32] == 1


def test_what_is_outside_of_the_picture_does_no_harm() -> None:
    canvas = new_canvas(GREY, 1)
    paint_all(canvas, [capsule(-900, -900, -700, -600, 60), capsule(3000, 500, 3000, 9000, 60)])
    assert (canvas.pixels() == 128).all()
    paint_all(canvas, [capsule(-2000, 500, 3000, 500, 5000)])
    assert (canvas.pixels() == 255).all()


def test_packed_levels_survive() -> None:
    levels = np.array([[0, 128, 255], [255, 1, 2]])
    packed = pack(levels)
    assert [[int(v) >> s & 255 for s in (0, 21, 42)] for v in packed] == levels.tolist()


def test_the_pixel_path_knows_no_floats() -> None:
    tree = ast.parse(Path(raster.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Attribute) and node.attr.startswith("float"))
    canvas = new_canvas(GREY, 1)
    assert canvas.rgb.dtype == np.int64 and canvas.part.dtype == np.uint8
    for kind in range(len(KINDS)):
        assert render_place(Place(kind, 3, "seed", 760), 33).dtype == np.uint8


def test_backgrounds_show_the_same_place_at_any_size() -> None:
    for kind in range(len(KINDS)):
        place = Place(kind, kind, f"place {kind}", 750)
        small = render_place(place, 32).astype(int)
        large = render_place(place, 64).astype(int).reshape(32, 2, 32, 2, 3).mean((1, 3))
        assert np.abs(small - large).mean() < 8


def test_limbs_are_at_least_three_pixels_thick_at_64() -> None:
    for index in range(20):
        scene, performance = describe_clip("train", index)
        track = track_of(performance, scene.camera(64))
        for shape in body_shapes(track, scene.look, 64, int(scene.body.build * 256)):
            if shape.part in (*UPPER_ARM, *FOREARM, *THIGH):
                assert min(shape.ra.min(), shape.rb.min()) * 2 >= 3 * 16


def test_real_joints_alone_are_enough_to_draw_a_figure() -> None:
    scene, _ = describe_clip("train", 3)
    joints = np.array(
        [
            [32, 12],
            [38, 20],
            [26, 20],
            [42, 30],
            [22, 30],
            [43, 38],
            [21, 38],
            [35, 36],
            [29, 36],
            [36, 47],
            [28, 47],
            [36, 58],
            [28, 58],
        ],
        dtype=float,
    )
    moving = np.stack([joints + np.array([t * 0.5, 0.0]) for t in range(5)])
    frames, seen = drawn(moving, scene.look)
    assert frames.shape == (5, 64, 64, 3) and frames.dtype == np.uint8
    assert seen.shape == (5, 13) and seen[:, [0, 9, 10, 11, 12]].all()
    assert (frames != 128).any(-1).sum() > 5 * 250
    assert 700 < make_track(moving).height < 1100
    outside, hidden = drawn(moving - 500, scene.look)
    assert (outside == 128).all() and not hidden.any()
