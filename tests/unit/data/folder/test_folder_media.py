"""Transparency, rates and axes as a dataset sees them: content, notes, warnings."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from vpbench.api import BadData, UsageError
from vpbench.core.hashing import file_sha256
from vpbench.data.folder.media_notes import clip_notes
from vpbench.media.kinds import ground_text, parse_ground, parse_rate


def clips(dataset):
    return {c.id: c for part in dataset.splits() for c in dataset.clips(part)}


def put_strip(tmp_path, name, alpha):
    """Twenty frames of 16x16 px, RGBA."""
    rng = np.random.default_rng(3)
    strip = rng.integers(0, 256, (16, 320, 4)).astype(np.uint8)
    strip[..., 3] = alpha
    (tmp_path / "data").mkdir(exist_ok=True)
    Image.fromarray(strip).save(tmp_path / "data" / name)
    return strip


def test_the_ground_is_in_the_content_of_transparent_clips_only(tmp_path, put, folder):
    put_strip(tmp_path, "a.png", 100)
    put_strip(tmp_path, "b.png", 255)
    put("c.npz")
    found = {
        ground: clips(folder(ground=ground)) for ground in ("white", "black", "none", "#FF0000")
    }
    hashes = {ground: {k: c.sha256 for k, c in known.items()} for ground, known in found.items()}
    assert len({h["a"] for h in hashes.values()}) == 4
    assert hashes["none"]["a"] == file_sha256(tmp_path / "data" / "a.png")
    for name, path in (("b", "b.png"), ("c", "c.npz")):
        assert {h[name] for h in hashes.values()} == {file_sha256(tmp_path / "data" / path)}
    assert found["black"]["a"].note == "transparent, shown on black"
    assert [found["black"][k].note for k in "bc"] == ["", ""]
    assert found["none"]["a"].note == ""


def test_transparent_clips_that_look_alike_are_alike(tmp_path, folder):
    """Colours beneath what nobody sees make no difference."""
    strip = put_strip(tmp_path, "a.png", 255)
    strip[:, :100, 3] = 0
    other = strip.copy()
    other[:, :100, :3] = 7
    for name, pixels in (("a", strip), ("b", other)):
        Image.fromarray(pixels).save(tmp_path / "data" / f"{name}.png")
    dataset = folder()
    first, second = (dataset.read(clip, range(20)) for clip in clips(dataset).values())
    assert np.array_equal(first, second)
    assert (first[0] == 255).all()


def test_a_clip_of_which_nothing_is_seen_is_named(tmp_path, folder):
    put_strip(tmp_path, "a.png", 0)
    with pytest.raises(BadData, match=r"a\.png is wholly transparent.*ground=none"):
        clips(folder())
    assert len(clips(folder(ground="none"))) == 1


def gif(path, delays):
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).convert("P") for _ in delays
    ]
    path.parent.mkdir(exist_ok=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays)


def test_rates_are_said_and_resampled_on_request(tmp_path, folder):
    gif(tmp_path / "data" / "slow.gif", [200] * 20)
    gif(tmp_path / "data" / "fast.gif", [50] * 20)
    gif(tmp_path / "data" / "uneven.gif", [50, 400] * 10)
    plain = folder(horizon=4)
    said = [p.what for p in plain.verify()]
    assert any("5 (1 clips), 20 (1 clips), unknown or variable (1 clips)" in text for text in said)
    assert any("1 of 3 clips: of a variable frame rate" in text for text in said)
    before, after = clips(plain), clips(folder(horizon=4, rate="10"))
    assert {k: c.frames for k, c in after.items()} == {"slow": 40, "fast": 10, "uneven": 45}
    assert {c.fps for c in after.values()} == {10.0}
    assert all(before[k].sha256 != after[k].sha256 for k in before)
    assert all(c.note == "resampled to 10 frames a second" for c in after.values())
    dataset = folder(horizon=4, rate="10")
    known = clips(dataset)
    stored = plain.read(before["slow"], range(20))
    assert np.array_equal(dataset.read(known["slow"], range(40)), stored.repeat(2, axis=0))
    stored = plain.read(before["fast"], range(20))
    assert np.array_equal(dataset.read(known["fast"], [9, 0]), stored[[18, 0]])
    with pytest.raises(BadData, match="40 frames"):
        dataset.read(known["slow"], [40])


def test_an_array_of_many_clips(tmp_path, put, folder):
    """Moving-MNIST: 20 frames of 7 clips in one grey array."""
    digits = np.random.default_rng(5).integers(0, 256, (20, 7, 12, 12)).astype(np.uint8)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "mnist.npy"
    np.save(path, digits)
    with pytest.raises(BadData, match=r"20x7x12x12.*axes=NTHW"):
        clips(folder())
    dataset = folder(axes="tnhw", horizon=8)
    known = clips(dataset)
    assert sorted(known) == [f"mnist-{k:05d}" for k in range(7)]
    assert len({c.sha256 for c in known.values()}) == 7
    assert {(c.frames, c.height, c.width) for c in known.values()} == {(20, 12, 12)}
    expected = digits[[3, 19], 5, :, :, None].repeat(3, axis=-1)
    assert np.array_equal(dataset.read(known["mnist-00005"], [3, 19]), expected)
    rows = ["file,k", *(f"mnist-{k:05d},{'ab'[k % 2]}" for k in range(7))]
    (tmp_path / "data" / "labels.csv").write_text("\n".join(rows))
    labelled = clips(folder(axes="TNHW", horizon=8, label="k"))
    assert {labelled[f"mnist-{k:05d}"].label for k in (1, 3, 5)} == {1}
    other = digits.copy()
    other[0, 0, 0, 0] ^= 1
    np.save(path, other)
    with pytest.raises(BadData, match="changed while it was in use"):
        dataset.read(known["mnist-00005"], [3])
    assert {c.sha256 for c in clips(folder(axes="TNHW")).values()}.isdisjoint(
        c.sha256 for c in known.values()
    )


def test_contents_decide_where_a_name_says_nothing(tmp_path, put, folder):
    frames = put("walk.npz")
    put("film.mp4")
    (tmp_path / "data" / "film.mp4").rename(tmp_path / "data" / "film.3gp")
    put("other.gif")
    (tmp_path / "data" / "other.gif").rename(tmp_path / "data" / "other.dat")
    dataset = folder()
    known = clips(dataset)
    assert sorted(known) == ["film", "other", "walk"]
    assert np.array_equal(dataset.read(known["walk"], range(20)), frames)
    put("strip.png")
    (tmp_path / "data" / "strip.png").rename(tmp_path / "data" / "strip.dat")
    with pytest.raises(BadData, match=r"strip\.dat is a picture whose name does not end like one"):
        clips(folder())


def test_hints_keep_the_options(tmp_path, put, folder):
    for name in ("a.npz", "b.npz", "c.npz"):
        put(name)
    for name in ("a.npz", "b.npz"):
        (tmp_path / "data" / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(BadData) as caught:
        clips(folder(size="32", horizon="8"))
    command = f"vpbench data verify 'folder:{tmp_path / 'data'}[size=32,horizon=8]'"
    assert f"(1 more: {command})" in caught.value.fix


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("ground", v) for v in ("", "blue", "#12345", "255,255,255")),
        *(("rate", v) for v in ("0", "-1", "x", "1e3", "1001", "1/0")),
        *(("axes", v) for v in ("TH", "THWX", "TTHW", "THWNN", "NTHWCC")),
    ],
)
def test_options_that_cannot_be(put, folder, option, value):
    put("a.npz")
    with pytest.raises(UsageError, match=option):
        folder(**{option: value})


def test_grounds_and_rates_read_as_written():
    assert parse_ground("White") == (255, 255, 255) and parse_ground("none") is None
    for colour in ((0, 0, 0), (128, 128, 128), (255, 128, 1)):
        assert parse_ground(ground_text(colour)) == colour
    assert ground_text(None) == "none"
    assert parse_rate("") is None
    assert parse_rate("30000/1001") == Fraction(30000, 1001)
    assert parse_rate("12.5") == Fraction(25, 2)


def test_a_resampled_clip_has_the_rate_that_was_asked_for(tmp_path, folder):
    gif(tmp_path / "data" / "a.gif", [100] * 20)
    slow, fast = clips(folder(rate="8")).values(), clips(folder(rate="30")).values()
    assert [[c.fps for c in side] for side in (slow, fast)] == [[8.0], [30.0]]
    assert clip_notes(list(slow)) == ["1 of 1 clips: resampled to 8 frames a second."]
