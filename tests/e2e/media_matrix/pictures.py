"""Cells: still pictures as strips and folders, gif, APNG and WebP, and files of other types."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
from PIL import Image

from tests.e2e.media_matrix import by_hand
from tests.e2e.media_matrix.by_hand import Part, Patch, saved
from tests.e2e.media_matrix.cell import (
    COARSE,
    CODED,
    EXACT,
    ROUNDED,
    Cell,
    Frames,
    Real,
    alpha_scene,
    on_ground,
    scene,
)
from vpbench.media.decode import Reading

_SIZE = (12, 16)
_MARK = ("transparent",)
_SIDE = 16


def cells() -> Iterator[Cell]:
    """All of this group."""
    yield from _strips()
    yield from _depths()
    yield from _folders()
    yield from _gifs()
    yield from _apngs()
    yield from _webps()
    yield from _types()


def _strip(frames: Frames) -> Frames:
    return np.concatenate(list(frames), axis=1)


def _cut(strip: Real) -> Real:
    return np.stack(np.split(strip, strip.shape[1] // _SIDE, axis=1))


def _strips() -> Iterator[Cell]:
    rgb, rgba = scene(5, _SIDE, _SIDE), alpha_scene(5, _SIDE, _SIDE)
    for ext, within, options in (
        ("png", EXACT, {}),
        ("bmp", EXACT, {}),
        ("ppm", EXACT, {}),
        ("tif", EXACT, {}),
        ("webp", EXACT, {"lossless": True}),
        ("webp", COARSE, {"quality": 98}),
        ("jpg", CODED, {"quality": 98, "subsampling": 0}),
        ("jpg", COARSE, {"quality": 98, "progressive": True}),
    ):
        make = partial(_picture, f"a.{ext}", _strip(rgb), "RGB", options)
        yield Cell(f"strip/{_named(ext, options)}", make, rgb, within, ffmpeg=False)
    composed = on_ground(rgba)
    grey = _strip(rgba)[..., [1, 3]]
    grey_shown = _cut(on_ground(np.concatenate([grey[..., :1].repeat(3, -1), grey[..., 1:]], -1)))
    for ext, options in (("png", {}), ("tif", {}), ("webp", {"lossless": True, "exact": True})):
        make = partial(_picture, f"a.{ext}", _strip(rgba), "RGBA", options)
        yield Cell(f"strip/rgba.{ext}", make, composed, ROUNDED, "", _MARK, ffmpeg=False)
    make = partial(_picture, "a.png", grey, "LA", {})
    yield Cell("strip/grey-alpha.png", make, grey_shown, ROUNDED, "", _MARK, ffmpeg=False)
    dropped = Reading(ground=None)
    make = partial(_picture, "a.png", _strip(rgba), "RGBA", {})
    yield Cell("strip/rgba-dropped.png", make, rgba[..., :3], how=dropped, ffmpeg=False)
    yield Cell("strip/premultiplied.tif", _premultiplied, composed, (2, 1), "", _MARK, ffmpeg=False)
    yield from _keys()
    yield Cell("strip/exif.png", _turned, scene(5, _SIDE, _SIDE), ffmpeg=False)
    make = partial(_picture, "a.png", scene(1, 16, 48)[0], "RGB", {})
    yield Cell("strip/three-heights", make, refused="still")


def _named(ext: str, options: dict[str, Any]) -> str:
    return f"{'-'.join(['rgb', *options])}.{ext}"


def _keys() -> Iterator[Cell]:
    """A colour, or a palette's entries, that are transparent."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 8, (_SIDE, 5 * _SIDE)).astype(np.uint8)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    alpha = np.array([0, 40, 80, 120, 160, 200, 255, 255], np.uint8)
    shown = np.concatenate([palette[numbers], alpha[numbers][..., None]], axis=-1)
    make = partial(_palette, numbers, palette, alpha)
    right = _cut(on_ground(shown))
    yield Cell("strip/palette-alpha.png", make, right, ROUNDED, "", _MARK, ffmpeg=False)
    opaque = numbers != 3
    shown = np.concatenate([palette[numbers], 255 * opaque[..., None]], axis=-1).astype(np.uint8)
    make = partial(_key, palette[numbers], palette[3])
    yield Cell("strip/colour-key.png", make, _cut(on_ground(shown)), EXACT, "", _MARK, ffmpeg=False)
    grey = numbers[..., None].repeat(3, -1) * 30
    shown = np.concatenate([grey, 255 * opaque[..., None]], axis=-1).astype(np.uint8)
    make = partial(_key, grey[..., :1], np.array([90]))
    yield Cell("strip/grey-key.png", make, _cut(on_ground(shown)), EXACT, "", _MARK, ffmpeg=False)


def _depths() -> Iterator[Cell]:
    rng = np.random.default_rng(1)
    for channels, name in ((1, "grey"), (2, "grey-alpha"), (3, "rgb"), (4, "rgba")):
        pixels = rng.integers(0, 1 << 16, (8, 32, channels)).astype(np.uint16)
        make = partial(_bytes, "a.png", by_hand.png(pixels))
        yield Cell(f"depth/{name}-16.png", make, refused="depth")
    for kind, name in ((b"P5", "grey"), (b"P6", "rgb")):
        data = kind + b" 32 8 65535\n" + rng.bytes(8 * 32 * 2 * (3 if kind == b"P6" else 1))
        yield Cell(f"depth/{name}-16.ppm", partial(_bytes, "a.ppm", data), refused="depth")
    yield Cell("depth/rgb-16.tif", _deep_tiff, refused="depth")


def _folders() -> Iterator[Cell]:
    rgba = alpha_scene(6, 20, 28)
    make = partial(_folder, rgba)
    yield Cell("folder/rgba", make, on_ground(rgba), ROUNDED, "", _MARK)
    black = Reading(ground=(0, 0, 0))
    right = on_ground(rgba, (0, 0, 0))
    yield Cell("folder/rgba-on-black", make, right, ROUNDED, "", _MARK, how=black)
    make = partial(_folder, scene(6, 20, 28))
    yield Cell("folder/rgb", make, scene(6, 20, 28))
    yield Cell("folder/rate", make, refused="times", how=Reading(rate=_rate()))


def _gifs() -> Iterator[Cell]:
    rng = np.random.default_rng(2)
    palette = rng.integers(0, 256, (by_hand.COLOURS, 3)).astype(np.uint8)
    others = [rng.integers(0, 256, (by_hand.COLOURS, 3)).astype(np.uint8) for _ in range(4)]
    whole = rng.integers(1, 100, _SIZE).astype(np.uint8)
    for disposal in range(4):
        for clear in (None, 5):
            for own in (False, True):
                if own and clear is None and disposal == 2:
                    continue  # nobody agrees on a background without a global palette in use
                patches = [
                    Patch(
                        whole if k == 0 else rng.integers(1, 9, (6, 7)).astype(np.uint8),
                        (0, 0) if k == 0 else (2 + k, 3 * k),
                        disposal if k in (1, 2) else 1,
                        clear,
                        others[k] if own else None,
                    )
                    for k in range(4)
                ]
                name = f"gif/disposal-{disposal}{'-clear' * (clear is not None)}{'-local' * own}"
                yield _gif(name, palette, patches)
    small = [Patch(whole[:6, :7], (3, 4), 1, 5), Patch(whole[:5, :5], (0, 0), 1, 5)]
    yield _gif("gif/first-frame-small", palette, small)
    frames = [Patch(np.full(_SIZE, k + 1, np.uint8), delay=d) for k, d in enumerate((4, 40, 4, 12))]
    shown = by_hand.gif_shown(_SIZE, palette, frames)[..., :3]
    make = partial(_bytes, "a.gif", by_hand.gif(_SIZE, palette, frames))
    yield Cell("gif/delays", make, shown, EXACT, "", ("variable",))
    order = [k for k, n in enumerate((4, 40, 4, 12)) for _ in range(n // 4)]
    yield Cell("gif/delays-to-25", make, shown[order], how=Reading(rate=_rate()), ffmpeg=False)
    yield from _palettegen()


def _palettegen() -> Iterator[Cell]:
    """What ffmpeg's own palettes make of RGBA: one for all frames, and one a frame."""
    rgba = alpha_scene(6, 20, 28)
    rgba[..., :3] = rgba[..., :3] // 64 * 64
    rgba[..., 3] = np.where(rgba[..., 3] < 128, 0, 255)
    for name, generate, use in (
        ("one-palette", "stats_mode=full", ""),
        ("a-palette-a-frame", "stats_mode=single", "new=1"),
    ):
        make = partial(_quantised, rgba, generate, use)
        yield Cell(f"gif/ffmpeg-{name}", make, on_ground(rgba), (4, 1), "", _MARK)


def _gif(name: str, palette: Frames, patches: list[Patch]) -> Cell:
    shown = by_hand.gif_shown(_SIZE, palette, patches)
    mark = _MARK if (shown[..., 3] < 255).any() else ()
    make = partial(_bytes, "a.gif", by_hand.gif(_SIZE, palette, patches))
    return Cell(name, make, on_ground(shown), EXACT, "", mark)


def _apngs() -> Iterator[Cell]:
    rng = np.random.default_rng(3)

    def pixels(rows: int, columns: int) -> Frames:
        return rng.integers(0, 256, (rows, columns, 4)).astype(np.uint8)

    for disposal in range(3):
        for blend in range(2):
            parts = [
                Part(pixels(*_SIZE), disposal=disposal),
                Part(pixels(5, 6), (2, 3), disposal, blend),
                Part(pixels(7, 6), (4, 8), disposal, blend),
                Part(pixels(4, 4), (1, 1), 0, blend),
            ]
            name = f"apng/disposal-{disposal}-{'over' if blend else 'source'}"
            yield _apng(name, parts)
    opaque = [Part(_opaque(pixels(*_SIZE))) for _ in range(3)]
    yield _apng("apng/other-default-picture", opaque, _opaque(pixels(*_SIZE)))
    yield _apng("apng/one-frame-other-default-picture", opaque[:1], _opaque(pixels(*_SIZE)))


def _opaque(pixels: Frames) -> Frames:
    pixels[..., 3] = 255
    return pixels


def _apng(name: str, parts: list[Part], default: Frames | None = None) -> Cell:
    shown = by_hand.apng_shown(_SIZE, parts)
    right = shown[..., :3] * shown[..., 3:] / 255 + 255 * (1 - shown[..., 3:] / 255)
    mark = _MARK if (shown[..., 3] < 255).any() else ()
    make = partial(_bytes, "a.png", by_hand.apng(_SIZE, parts, default))
    how = Reading("frames") if len(parts) == 1 else Reading()
    # ffmpeg takes a file named .png for one picture.
    before = ("-f", "apng")
    within = (3.0, 1.0)
    return Cell(name, make, right, within, "", mark, how, before, against_ffmpeg=within)


def _webps() -> Iterator[Cell]:
    rgba = alpha_scene(5, 20, 28)
    options = {"lossless": True, "exact": True, "duration": 125}
    for name, frames, mark in (("rgba", rgba, _MARK), ("rgb", rgba[..., :3], ())):
        right = on_ground(frames) if mark else frames
        make = partial(_animated, frames, options)
        yield Cell(f"webp/{name}", make, right, ROUNDED, "", mark, ffmpeg=False)
    make = partial(_animated, rgba[..., :3], options)
    how = Reading(rate=_rate(4))
    yield Cell("webp/8-to-4", make, rgba[::2, ..., :3], how=how, ffmpeg=False)


def _types() -> Iterator[Cell]:
    for name, data in (
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("a.avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1"),
        ("a.ogv", b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0"),
        ("a.y4m", b"YUV4MPEG2 W16 H16 F25:1\nFRAME\n"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 "),
        ("a.pdf", b"%PDF-1.7\n"),
        ("a.xyz", b"something else"),
    ):
        yield Cell(f"type/{name}", partial(_bytes, name, data), refused="type")
    yield Cell("type/empty.mp4", partial(_bytes, "a.mp4", b""), refused="empty")


# -- files ------------------------------------------------------------------------------------


def _rate(value: int = 25) -> Fraction:
    return Fraction(value)


def _bytes(name: str, data: bytes, folder: Path) -> Path:
    return saved(folder, name, data)


def _picture(name: str, pixels: Frames, mode: str, options: dict[str, Any], folder: Path) -> Path:
    path = folder / name
    Image.fromarray(np.ascontiguousarray(pixels), mode).save(path, **options)
    return path


def _premultiplied(folder: Path) -> Path:
    """A TIFF whose colours are multiplied by alpha already, and which says so (tag 338 is 1)."""
    rgba = _strip(alpha_scene(5, _SIDE, _SIDE)).astype(float)
    rgba[..., :3] = rgba[..., :3] * rgba[..., 3:] / 255
    path = folder / "a.tif"
    Image.fromarray(rgba.round().astype(np.uint8), "RGBA").save(path)
    tag = struct.pack("<HHI", 338, 3, 1)
    data = path.read_bytes()
    assert data.count(tag + struct.pack("<H", 2)) == 1
    path.write_bytes(data.replace(tag + struct.pack("<H", 2), tag + struct.pack("<H", 1)))
    return path


def _turned(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    path = folder / "a.png"
    lying = np.ascontiguousarray(np.rot90(_strip(scene(5, _SIDE, _SIDE))))
    Image.fromarray(lying).save(path, exif=exif)
    return path


def _palette(numbers: Frames, palette: Frames, alpha: Frames, folder: Path) -> Path:
    path = folder / "a.png"
    image = Image.fromarray(numbers, "P")
    image.putpalette(palette.tobytes())
    image.save(path, transparency=alpha.tobytes())
    return path


def _key(pixels: Frames, key: Frames, folder: Path) -> Path:
    value = struct.pack(f">{len(key)}H", *(int(k) for k in key))
    return saved(folder, "a.png", by_hand.png(pixels, (b"tRNS", value)))


def _deep_tiff(folder: Path) -> Path:
    """RGB of 16 bits: the smallest TIFF there is."""
    height, width = 8, 32
    data = np.random.default_rng(4).bytes(height * width * 6)
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, 8),  # where the three 16s stand
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 14),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
    ]
    place = 14 + len(data)
    head = b"II*\0" + struct.pack("<I", place) + struct.pack("<3H", 16, 16, 16)
    table = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        form = "<HHIHH" if kind == 3 and count == 1 else "<HHII"
        table += struct.pack(form, tag, kind, count, value, *([0] if form == "<HHIHH" else []))
    return saved(folder, "a.tif", head + data + table + bytes(4))


def _folder(frames: Frames, folder: Path) -> Path:
    path = folder / "clip"
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number:04d}.png")
    return path


def _animated(frames: Frames, options: dict[str, Any], folder: Path) -> Path:
    path = folder / "a.webp"
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def _quantised(rgba: Frames, generate: str, use: str, folder: Path) -> Path:
    """A gif by ffmpeg's filters palettegen and paletteuse."""
    height, width = rgba.shape[1:3]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format="rgba", time_base=Fraction(1, 10))
    split, sink = graph.add("split"), graph.add("buffersink")
    palette, apply = graph.add("palettegen", generate), graph.add("paletteuse", use)
    source.link_to(split)
    split.link_to(palette, 0, 0)
    palette.link_to(apply, 0, 1)
    split.link_to(apply, 1, 0)
    apply.link_to(sink)
    graph.configure()
    path = folder / "a.gif"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for number, pixels in enumerate(rgba):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            source.push(frame)
        source.push(None)
        for _ in rgba:
            container.mux(stream.encode(sink.pull()))
        container.mux(stream.encode(None))
    return path
