"""What a program may hand over as clips, and the line that mends what it may not."""

import re

import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.harness.scoring.array_clips import ArrayClips, StoredArray
from vpbench.python.clips import frames_of, handed_over

RNG = np.random.default_rng(3)
SET = RNG.integers(0, 256, (2, 5, 12, 9, 3), np.uint8)
SET.flat[:2] = 0, 255


@pytest.mark.parametrize(
    ("array", "fix"),
    [
        (SET > 99, "a.astype(np.uint8) * 255"),
        (SET / np.float32(255), "value_range=(0, 1)"),
        (SET / np.float32(127.5) - 1, "(a + 1) / 2 with value_range=(0, 1)"),
        (SET.astype(np.float32), "a.round().astype(np.uint8)"),
        (SET.astype(np.int64), "a.astype(np.uint8)"),
        (np.moveaxis(SET, -1, 2), "np.moveaxis(a, -3, -1)"),
        (np.moveaxis(SET, -1, 1), "np.moveaxis(a, -4, -1)"),
        (SET[..., 0], "np.repeat(a[..., None], 3, axis=-1)"),
        (SET[..., :1], "np.repeat(a, 3, axis=-1)"),
        (SET[0], "a[None]"),
    ],
)
def test_each_array_gets_its_own_line(array, fix):
    with pytest.raises(BadData) as caught:
        frames_of(array, "real", None, 5)
    assert caught.value.fix.startswith(f"Pass {fix}")
    value_range = (0, 1) if "value_range" in fix else None
    code = re.sub(r" with value_range.*|^value_range.*", "", fix)
    mended = eval(code, {"np": np, "a": array}) if code else array
    made = frames_of(mended, "real", value_range, 5)
    assert made.dtype == np.uint8 and made.shape[-1] == 3 and made.ndim == 5


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255), (-0.5, 0.5)])
def test_floats_are_rounded_to_the_nearest_level(low, high):
    levels = np.arange(256, dtype=np.float64).reshape(1, 1, 16, 16)
    clip = np.repeat(levels[..., None], 3, -1)[0]
    for nudge in (-0.49, 0, 0.49):
        floats = low + (np.clip(clip + nudge, 0, 255)) / 255 * (high - low)
        np.testing.assert_array_equal(frames_of(floats, "x", (low, high)), clip)
    half = np.full((1, 2, 2, 3), 0.5 / 255)
    assert (frames_of(half, "x", (0, 1)) == 1).all()


@pytest.mark.parametrize(
    ("array", "value_range", "error", "says"),
    [
        (SET[0], (0, 1), UsageError, "uint8"),
        (SET[0] / 255 * 1.1, (0, 1), BadData, "outside of value_range"),
        (np.full((1, 2, 2, 3), np.nan), (0, 1), BadData, "NaN"),
        (SET[0] / 255, (1, 0), UsageError, "not a range"),
        (SET[0][:0], None, BadData, "empty"),
        ([[1, 2], [3]], None, BadData, "cannot be made an array"),
        (np.array(["a"]), None, BadData, "<U1"),
    ],
)
def test_what_cannot_be_is_refused(array, value_range, error, says):
    with pytest.raises(error, match=says):
        frames_of(array, "real", value_range)


def read_back(request):
    clips = [StoredArray.parse(clip) for clip in request["clips"]]
    dataset = ArrayClips(request["file"], clips)
    return {c.id: dataset.read(c, range(c.frames)) for c in dataset.clips("test")}


def test_arrays_lists_mappings_and_tensors_are_read_back():
    torch = pytest.importorskip("torch")
    ragged = [SET[0], SET[1][:3, :4]]
    named = {"b": SET[0], "a": SET[1]}
    half = torch.from_numpy(SET / 255).to(torch.float16)
    with handed_over({"real": SET, "fake": torch.from_numpy(SET)}, None) as sides:
        for side in sides.values():
            np.testing.assert_array_equal(np.stack(list(read_back(side).values())), SET)
    with handed_over({"real": ragged, "fake": named}, None) as sides:
        assert [len(x) for x in read_back(sides["real"]).values()] == [5, 3]
        made = read_back(sides["fake"])
        assert list(made) == ["a", "b"] and (made["a"] == SET[1]).all()
    with handed_over({"real": half.requires_grad_()}, (0, 1)) as sides:
        made = np.stack(list(read_back(sides["real"]).values()))
        assert np.abs(made.astype(int) - SET).max() <= 1
    with handed_over({"real": "a folder"}, None) as sides:
        assert sides == {"real": {"path": "a folder"}}


def test_a_file_that_is_gone_is_an_error(tmp_path):
    with handed_over({"real": SET}, None) as sides:
        request = sides["real"]
    with pytest.raises(BadData, match="gone"):
        read_back(request)


@pytest.mark.parametrize("value", [7, None, [], {1, 2}])
def test_what_is_no_set_of_clips_is_refused(value):
    with (
        pytest.raises((UsageError, BadData), match="real"),
        handed_over({"real": value}, None),
    ):
        pass
