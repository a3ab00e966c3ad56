"""The built-in dataset: splits, sizes, joints against pixels, and the same bytes everywhere."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from vpbench.data.puppets import clips, manifest
from vpbench.data.puppets.actions import CLASS_NAMES
from vpbench.data.puppets.clips import EXTRA_KINDS, SPLITS, Clip, describe_clip, label_of
from vpbench.data.puppets.figure import HEAD, SHIN, visibility
from vpbench.data.puppets.looks import outfit_owner
from vpbench.data.puppets.scene import Actor, place_owner, render_actors

SAMPLE = [("train", i) for i in (0, 5, 113, 451, 899)] + [("val", 44), ("test", 7), ("test", 89)]


@cache
def clip(split: str, index: int, size: int = 64) -> Clip:
    return clips.render_clip(split, index, size)


@pytest.mark.parametrize(("split", "index"), SAMPLE)
def test_a_clip_has_the_promised_shape(split: str, index: int) -> None:
    made = clip(split, index)
    assert made.frames.shape == (24, 64, 64, 3) and made.frames.dtype == np.uint8
    assert made.joints.shape == (24, 13, 3) and made.joints.dtype == np.float32
    assert set(np.unique(made.joints[..., 2])) <= {0.0, 1.0}
    assert made.label == index % 9


def test_splits_are_balanced() -> None:
    for split in ("train", "val", "test"):
        counts = np.bincount([label_of(split, i) for i in range(SPLITS[split])])
        assert len(set(counts)) == 1 and len(counts) == len(CLASS_NAMES) == 9


def test_no_appearance_is_shared_between_splits() -> None:
    seen: dict[str, dict[str, set[object]]] = {}
    of_their_own = [split for split in SPLITS if split not in clips.LOOKS_OF]
    for split in of_their_own:
        scenes = [describe_clip(split, i)[0] for i in range(min(SPLITS[split], 180))]
        seen[split] = {
            "outfit": {s.look.outfit for s in scenes},
            "place": {(s.place.kind, s.place.palette) for s in scenes},
            "seed": {s.place.seed for s in scenes},
            "colours": {(s.look.shirt, s.look.trousers, s.look.hair, s.look.skin) for s in scenes},
        }
        assert {outfit_owner(s.look.outfit) for s in scenes} == {split}
        assert {place_owner(s.place.kind, s.place.palette) for s in scenes} == {split}
    for what in ("outfit", "place", "seed", "colours"):
        sets = [seen[split][what] for split in of_their_own]
        assert len(set.union(*sets)) == sum(map(len, sets))  # type: ignore[arg-type]


def test_the_large_test_set_looks_like_the_test_split_and_shares_no_clip_with_any() -> None:
    scenes = [describe_clip("large", i)[0] for i in range(SPLITS["large"])]
    assert {outfit_owner(s.look.outfit) for s in scenes} == {"test"}
    assert {place_owner(s.place.kind, s.place.palette) for s in scenes} == {"test"}
    others = [
        describe_clip(split, i)[0].place.seed
        for split in SPLITS
        if split != "large"
        for i in range(SPLITS[split])
    ]
    assert len({s.place.seed for s in scenes} | set(others)) == sum(SPLITS.values())
    counts = np.bincount([label_of("large", i) for i in range(SPLITS["large"])])
    assert len(counts) == 9 and counts.max() - counts.min() == 1


def test_no_clip_is_in_two_splits() -> None:
    hashes = manifest.load_manifest()
    assert len({sha for split in SPLITS for sha in hashes[split]}) == sum(SPLITS.values()) == 1619


def test_the_splits_that_were_there_first_are_the_same_to_the_byte() -> None:
    first = {s: v for s, v in manifest.load_manifest().items() if s != "large"}
    assert list(first) == ["train", "val", "test", "extra"]
    assert manifest.hash_of(first) == (
        "59b9749b009dced39cab81a07b8a8f9702bd0f5bd585ca4978c3d1eadfd52ea6"
    )


@pytest.mark.parametrize("size", [64, 96, 33, 128])
def test_any_size_shows_the_same_clip(size: int) -> None:
    made = clip("train", 12, size)
    assert made.frames.shape == (24, size, size, 3)
    scale = size / 64
    expected = (clip("train", 12).joints[..., :2] + 0.5) * scale - 0.5
    assert np.abs(made.joints[..., :2] - expected).max() <= (1 + scale) / 32 + 1e-6


def test_joints_are_on_a_grid_of_sixteenths() -> None:
    for split, index in SAMPLE:
        grid = clip(split, index).joints[..., :2] * 16
        assert np.array_equal(grid, np.round(grid))


@pytest.mark.parametrize(("split", "index"), SAMPLE)
def test_the_pixel_below_a_visible_head_is_skin_hair_or_cap(split: str, index: int) -> None:
    made, (scene, _) = clip(split, index, 128), describe_clip(split, index)
    look = scene.look
    directions = np.array([look.skin, look.hair, look.trim, (78, 54, 52)], dtype=np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    good = total = 0
    for frame, (x, y, seen) in zip(made.frames, made.joints[:, 0], strict=True):
        if seen:
            pixel = frame[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))].astype(np.float64)
            likeness = directions @ (pixel / np.linalg.norm(pixel))
            good += int(likeness.max() > 0.985)  # shading changes length, not direction
            total += 1
    assert total >= 16
    assert good >= 0.8 * total  # a racket or a bar may pass in front of the face


def test_visible_joints_lie_on_the_body_and_hidden_ones_do_not_show() -> None:
    for index in range(9):
        scene, performance = describe_clip("val", index)
        canvas, tracks = render_actors([Actor(scene, performance)], 64)
        shown = visibility(tracks[0], canvas)
        parts = canvas.parts()
        where = (tracks[0].joints + 8) >> 4
        for t, j in zip(*np.nonzero(shown), strict=True):
            x, y = where[t, j]
            assert parts[t, y, x] > 0
        assert shown.mean() > 0.6


@pytest.mark.parametrize("index", range(18))
def test_a_standing_figure_fills_most_of_the_picture(index: int) -> None:
    scene, performance = describe_clip("train", index)
    canvas, _ = render_actors([Actor(scene, performance)], 64)
    rows = np.flatnonzero((canvas.parts()[0] > 0).any(1))
    assert 0.70 * 64 <= rows[-1] - rows[0] + 1 <= 0.90 * 64


def test_lower_legs_are_at_least_three_pixels_thick() -> None:
    for index in range(9):
        scene, performance = describe_clip("train", index)
        canvas, tracks = render_actors([Actor(scene, performance)], 64)
        parts, joints = canvas.parts()[0], tracks[0].joints[0]
        for side, part in enumerate(SHIN):
            middle = (joints[9 + side] + joints[11 + side]) // 2
            row = parts[(middle[1] + 8) >> 4] == part
            assert row.sum() >= 3


def test_empty_pictures_have_no_joints() -> None:
    empty = clip("extra", EXTRA_KINDS.index("empty-background"))
    assert empty.kind == "empty-background"
    assert not empty.joints[..., 2].any()
    assert (empty.frames == empty.frames[:1]).all()


def test_extras_exist_for_every_kind_and_action() -> None:
    kinds = {(clips.kind_of("extra", i), label_of("extra", i)) for i in range(SPLITS["extra"])}
    assert kinds == {(kind, label) for kind in EXTRA_KINDS for label in range(9)}
    pair = clip("extra", EXTRA_KINDS.index("two-figures"))
    alone = clip("test", 0)
    assert pair.kind == "two-figures" and alone.kind == "standard"
    scene, performance = describe_clip("extra", 0)
    canvas, _ = render_actors(clips._pair(0, scene, performance), 64)
    heads = np.flatnonzero((canvas.parts()[0] == HEAD).any(0))
    assert np.diff(heads).max() > 4  # two heads with room between them


def test_mirrored_motion_is_the_reverse_in_a_mirror() -> None:
    index = EXTRA_KINDS.index("mirrored-motion")
    odd, (_, performance) = clip("extra", index), describe_clip("extra", index)
    heights = performance.body.joints[:, 0, 1]
    shown = -odd.joints[:, 0, 1]
    if np.ptp(heights) > 0.05:
        assert np.corrcoef(shown, heights[::-1])[0, 1] > 0.9


def test_wrong_numbers_are_refused_with_the_range() -> None:
    with pytest.raises(ValueError, match=r"0\.\.89, not 90"):
        clips.render_clip("test", 90)
    with pytest.raises(ValueError, match="no split 'dev'"):
        clips.render_clip("dev", 0)
    with pytest.raises(ValueError, match="16 pixels"):
        clips.render_clip("test", 0, 8)


def test_the_manifest_knows_every_clip_and_agrees_with_a_sample() -> None:
    for split, count in SPLITS.items():
        assert len(manifest.load_manifest()[split]) == count
    for split, index in [*SAMPLE, ("extra", 0), ("extra", 26), ("large", 0), ("large", 511)]:
        assert clip(split, index).sha256() == manifest.expected_sha256(split, index)
    assert manifest.expected_sha256("test", 90) is None


def test_a_missing_manifest_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MANIFEST", "not-there.json")
    manifest.load_manifest.cache_clear()
    assert manifest.expected_sha256("test", 0) is None
    monkeypatch.undo()
    manifest.load_manifest.cache_clear()
    assert manifest.expected_sha256("test", 0) is not None


def test_another_process_makes_the_same_bytes_without_heavy_imports() -> None:
    code = (
        "import sys\n"
        "from vpbench.data.puppets.clips import render_clip\n"
        "sys.stdout.write(render_clip('train', 5).sha256())\n"
        "assert not {'torch', 'PIL', 'pandas', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == clip("train", 5).sha256()
