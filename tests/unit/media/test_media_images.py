"""Reading npz files, gifs, strips and folders of frames."""

import av
import numpy as np
import pytest
from media_files import (
    save_folder,
    save_gif,
)
from PIL import Image

from vpbench.api.errors import BadData, UsageError
from vpbench.media import kinds
from vpbench.media.decode import Probe, Reading, probe, read, read_image

# npz


def test_npz(tmp_path, clip):
    frames = clip(4, 9, 13)
    np.savez_compressed(tmp_path / "a.npz", frames=frames, other=np.arange(3))
    assert probe(tmp_path / "a.npz") == Probe(4, 9, 13, None, "lossless")
    assert np.array_equal(read(tmp_path / "a.npz", [3, 1]), frames[[3, 1]])


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), "float32, not uint8"),
        (np.full((2, 4, 4, 3), np.nan), "with NaN"),
        (np.zeros((2, 4, 4, 3), np.int64), "int64, not uint8"),
        (np.zeros((2, 4, 4, 2), np.uint8), "2x4x4x2, not TxHxWx3"),
        (np.zeros((2, 4, 4, 4), np.uint8), "a[..., :3]"),
        (np.zeros((2, 4, 4, 1), np.uint8), "np.repeat"),
        (np.zeros((2, 4, 4), np.uint8), "np.repeat"),
        (np.zeros((2, 3, 4, 4), np.uint8), "transpose(0, 2, 3, 1)"),
        (np.zeros((0, 4, 4, 3), np.uint8), "is empty"),
        (np.array([{"a": 1}], dtype=object), "not a readable npz"),
    ],
)
def test_npz_of_something_else_is_an_error_with_its_fix(tmp_path, array, says):
    path = tmp_path / "a.npz"
    np.savez(path, frames=array)
    for attempt in (probe, read):
        with pytest.raises(BadData) as error:
            attempt(path)
        assert str(path) in str(error.value)
        assert says in str(error.value)
        assert error.value.fix


def test_npz_without_frames_or_cut_off(tmp_path, clip):
    path = tmp_path / "a.npz"
    np.savez(path, video=clip(2, 4, 4))
    with pytest.raises(BadData, match=r"no array 'frames', only \['video'\]"):
        read(path)
    np.savez(path, frames=clip(9, 16, 16))
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadData, match="not a readable npz"):
        probe(path)
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(BadData, match="not a readable npz"):
        probe(path)


def test_gif_frames_are_taken_as_stored(tmp_path, clip):
    frames = clip(6, 12, 20) // 64 * 64
    save_gif(tmp_path / "a.gif", frames, duration=100)
    assert probe(tmp_path / "a.gif") == Probe(6, 12, 20, 10.0, "lossless")
    assert np.array_equal(read(tmp_path / "a.gif"), frames)
    assert np.array_equal(read(tmp_path / "a.gif", [4, 1]), frames[[4, 1]])


def test_gif_is_never_retimed(tmp_path, clip):
    frames = clip(20, 12, 12)[::4] // 64 * 64
    save_gif(tmp_path / "a.gif", frames, duration=[40, 400, 40, 40, 1000])
    assert probe(tmp_path / "a.gif") == Probe(5, 12, 12, None, "lossless", ("variable",))
    assert np.array_equal(read(tmp_path / "a.gif"), frames)
    save_gif(tmp_path / "b.gif", frames, duration=0)
    assert probe(tmp_path / "b.gif").fps is None


def gif_by_hand(disposal):
    """Three frames of 4x4 px: blue all over, red at (0,0), green at (2,2), 2x2 px each."""
    from PIL import GifImagePlugin

    palette = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]

    def picture(colour, size):
        image = Image.new("P", size, colour)
        image.putpalette(palette)
        return image

    parts, _ = GifImagePlugin.getheader(picture(3, (4, 4)), info={"optimize": False})
    frames = [((0, 0), 3, (4, 4), 1), ((0, 0), 1, (2, 2), disposal), ((2, 2), 2, (2, 2), 1)]
    for offset, colour, size, how in frames:
        parts += GifImagePlugin.getdata(picture(colour, size), offset, disposal=how, duration=50)
    return b"".join(parts) + b";"


@pytest.mark.parametrize(
    ("disposal", "corner"), [(1, (255, 0, 0)), (3, (0, 0, 255)), (2, (0, 0, 0))]
)
def test_gif_disposal_decides_what_the_next_frame_is_drawn_on(tmp_path, disposal, corner):
    path = tmp_path / "a.gif"
    path.write_bytes(gif_by_hand(disposal))
    frames = read(path)
    assert len(frames) == 3
    assert tuple(frames[1, 0, 0]) == (255, 0, 0)
    assert tuple(frames[1, 3, 3]) == (0, 0, 255)
    assert tuple(frames[2, 0, 0]) == corner
    assert tuple(frames[2, 3, 3]) == (0, 255, 0)
    assert np.array_equal(read(path, [2])[0], frames[2])


def test_a_cut_off_gif_is_an_error_at_every_byte(tmp_path, clip):
    path = tmp_path / "a.gif"
    save_gif(path, clip(3, 6, 6) // 64 * 64, duration=100)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(BadData):
            probe(path)


# images


def test_strips_are_composed_and_go_left_to_right(tmp_path, clip):
    frames = clip(5, 8, 8)
    strip = np.concatenate(list(frames), axis=1)
    alpha = np.dstack([strip, np.arange(40)[None].repeat(8, 0).astype(np.uint8)])
    path = tmp_path / "a.jpg"  # the contents are a PNG
    Image.fromarray(alpha).save(path, format="PNG")
    share = alpha[..., 3:].astype(float) / 255
    on_white = np.floor(strip * share + 255 * (1 - share) + 0.5).astype(np.uint8)
    expected = np.stack(np.split(on_white, 5, axis=1))
    assert probe(path) == Probe(5, 8, 8, None, "lossless", ("transparent",))
    assert np.array_equal(read(path), expected)
    assert np.array_equal(read(path, [4, 0]), expected[[4, 0]])
    assert probe(path, Reading(ground=None)) == Probe(5, 8, 8, None, "lossless")
    assert np.array_equal(read(path, how=Reading(ground=None)), frames)


def test_grey_palette_and_jpeg_images_become_rgb(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(2, 32).repeat(4, axis=0)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(
        read(tmp_path / "grey.png"), np.stack(np.split(grey, 4, axis=1))[..., None].repeat(3, -1)
    )
    palette = Image.fromarray(grey).convert("RGB").quantize(64)
    palette.info["transparency"] = bytes(range(64))
    palette.save(tmp_path / "palette.png", transparency=bytes(range(64)))
    plain = Reading(ground=None)
    assert np.array_equal(read(tmp_path / "palette.png", how=plain), read(tmp_path / "grey.png"))
    assert read(tmp_path / "palette.png").min() > 190  # nearly all of it shows the white ground
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=95)
    assert probe(tmp_path / "grey.jpg") == Probe(4, 8, 8, None, "codec")
    deep = Image.fromarray(grey.astype(np.uint16) * 256)
    deep.save(tmp_path / "deep.png")
    with pytest.raises(BadData, match="more than 8 bits"):
        read(tmp_path / "deep.png")


@pytest.mark.parametrize(("width", "ok"), [(8, 0), (24, 0), (32, 4), (40, 5), (41, 0)])
def test_an_image_is_a_strip_from_four_squares_on(tmp_path, width, ok):
    path = tmp_path / "a.png"
    Image.new("RGB", (width, 8)).save(path)
    if ok:
        assert probe(path).frames == ok
        return
    for attempt in (probe, read):
        with pytest.raises(BadData, match="layout=strips"):
            attempt(path)
    if width % 8 == 0:
        assert probe(path, Reading("strips")).frames == width // 8
    assert probe(path, Reading("frames")) == Probe(1, 8, width, None, "lossless")


def test_strips_of_frames_that_are_not_square(tmp_path, clip):
    frames = clip(3, 8, 20)
    path = tmp_path / "a.png"
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(path)
    assert np.array_equal(read(path, how=Reading(frame=(20, 8))), frames)
    assert probe(path, Reading(frame=(20, 8))) == Probe(3, 8, 20, None, "lossless")
    for wrong in ((20, 9), (21, 8)):
        with pytest.raises(BadData, match="not a row of frames"):
            read(path, how=Reading(frame=wrong))
    with pytest.raises(UsageError, match="layout=frames"):
        Reading("frames", (20, 8))
    with pytest.raises(UsageError, match="one of auto, strips, frames"):
        Reading("strip")  # type: ignore[arg-type]


def test_cut_off_images_are_errors(tmp_path, clip):
    strip = np.concatenate(list(clip(6, 16, 16)), axis=1)
    for name in ("a.png", "a.jpg", "a.bmp", "a.webp"):
        path = tmp_path / name
        Image.fromarray(strip).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        with pytest.raises(BadData, match=name):
            probe(path)


def test_animated_images_are_clips(tmp_path, clip):
    frames = clip(4, 12, 12)
    pictures = [Image.fromarray(frame) for frame in frames]
    for name, source in (("a.png", "lossless"), ("a.webp", "codec"), ("a.tif", "lossless")):
        path = tmp_path / name
        pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True)
        assert probe(path) == Probe(4, 12, 12, None, source)
        assert np.array_equal(read(path, [3, 0]), frames[[3, 0]])


def test_exif_rotation_is_applied_once(tmp_path, clip):
    upright = clip(1, 8, 20)[0] // 2 + 60
    lying = np.rot90(upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    for name in ("a.png", "a.tif"):
        Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / name, exif=exif)
        assert np.array_equal(read_image(tmp_path / name), upright), name
        found = probe(tmp_path / name, Reading("frames"))
        assert (found.height, found.width) == (8, 20)


def test_read_image_takes_any_picture(tmp_path):
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        Image.new(mode, (7, 5)).save(tmp_path / "a.tif" if mode != "P" else tmp_path / "a.gif")
        path = tmp_path / ("a.tif" if mode != "P" else "a.gif")
        picture = read_image(path)
        assert (picture.dtype, picture.shape) == (np.uint8, (5, 7, 3))
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(BadData, match=r"b\.png"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC picture"),
        ("v.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "is a video, not a picture"),
        ("v.mkv", b"\x1a\x45\xdf\xa3" + bytes(20), "is a video, not a picture"),
        ("a.npz", b"PK\3\4" + bytes(30), "is an array, not a picture"),
        ("a.pdf", b"%PDF-1.7 and so on", "PDF document"),
        ("a.ps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript file"),
        ("a.txt", b"some words", "does not read"),
    ],
)
def test_a_file_of_another_type_is_not_called_damaged(tmp_path, name, data, says):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadData, match=says) as error:
        read_image(path)
    assert "again" not in error.value.fix and ("png" in error.value.fix)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(BadData, match="Copy or download it again"):
        read_image(tmp_path / "b.png")


def test_frames_are_made_smaller_one_by_one(tmp_path, clip):
    frames = clip(4, 9, 13)
    np.savez(tmp_path / "a.npz", frames=frames)
    save_gif(tmp_path / "b.gif", frames // 64 * 64, duration=100)
    for path in (tmp_path / "a.npz", tmp_path / "b.gif"):
        whole = read(path, [3, 0, 0])
        half = read(path, [3, 0, 0], each=lambda frame: frame[:5, ::2])
        assert np.array_equal(half, whole[:, :5, ::2])


@pytest.mark.parametrize("name", ["{:06d}.png", "{}.png", "frame_{}.bmp", "x2_{}_left.png"])
def test_folders_are_ordered_by_number(tmp_path, clip, name):
    frames = clip(12, 8, 10)
    save_folder(tmp_path / "clip", frames, name)
    (tmp_path / "clip" / ".hidden.png").write_bytes(b"litter")
    assert probe(tmp_path / "clip") == Probe(12, 8, 10, None, "lossless")
    assert np.array_equal(read(tmp_path / "clip"), frames)
    assert np.array_equal(read(tmp_path / "clip", [10, 2]), frames[[10, 2]])


def test_folders_with_gaps_doubles_or_other_sizes_are_errors(tmp_path, clip):
    folder = tmp_path / "clip"
    save_folder(folder, clip(6, 8, 8))
    (folder / "0004.png").unlink()
    with pytest.raises(BadData, match="jump from 3 to 5"):
        probe(folder)
    assert probe(folder, Reading("frames")).frames == 5
    Image.new("RGB", (8, 8)).save(folder / "0004.png")
    Image.new("RGB", (8, 8)).save(folder / "4.jpg")
    with pytest.raises(BadData, match="both frame 4"):
        probe(folder)
    (folder / "4.jpg").unlink()
    Image.new("RGB", (8, 9)).save(folder / "0007.png")
    for attempt in (probe, read):
        with pytest.raises(BadData, match=r"0007\.png is 8x9 px"):
            attempt(folder)
    (folder / "0007.png").write_bytes(b"broken")
    with pytest.raises(BadData, match=r"0007\.png"):
        probe(folder)


def test_every_second_frame_is_a_row_too(tmp_path, clip):
    save_folder(tmp_path / "clip", clip(4, 8, 8), "{:03d}.png", first=0)
    for number in (3, 2, 1):
        (tmp_path / "clip" / f"{number:03d}.png").rename(
            tmp_path / "clip" / f"{5 * number:03d}.png"
        )
    assert probe(tmp_path / "clip").frames == 4


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(BadData, match="holds no images"):
        probe(tmp_path)


# real clips


def test_real_videos_have_the_frames_that_a_full_decode_has(real_clips):
    files = sorted((real_clips / "videos").iterdir())
    assert len(files) == 7
    for file in files:
        with av.open(str(file)) as container:
            aspect = container.streams.video[0].sample_aspect_ratio or 1
            shapes = [(f.height, int(f.width * aspect + 0.5)) for f in container.decode(video=0)]
        found = probe(file)
        assert (found.frames, found.height, found.width) == (len(shapes), *shapes[0])
        assert found.source == "codec"
        ends = read(file, [found.frames - 1, 0])
        assert ends.shape == (2, *shapes[0], 3)
        assert np.ptp(ends) > 30


def test_real_strips_and_gifs(real_clips):
    strips = sorted((real_clips / "weizmann").glob("*/*.jpg"))[:6]
    for file in strips:
        with Image.open(file) as image:
            assert image.format == "PNG"
            width, height = image.size
        assert probe(file) == Probe(width // height, 64, 64, None, "lossless")
    for file in sorted((real_clips / "critters").glob("moving-gif/*/*.gif"))[:10]:
        with Image.open(file) as image:
            frames = []
            for number in range(image.n_frames):
                image.seek(number)
                frames.append(np.array(image.convert("RGB")))
        assert np.array_equal(read(file), np.stack(frames))


def test_knowing_kinds_loads_no_decoder():
    assert not {"av", "PIL", "numpy"} & set(vars(kinds))
