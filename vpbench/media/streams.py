"""Which of the video streams of a file is the film."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vpbench.api.errors import BadData

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Covers and thumbnails: never the film."""


def film_stream(container: InputContainer, path: Path, form: str) -> tuple[VideoStream, bool]:
    """The stream that a player shows: marked as the default, else the longest, else the first.

    Args:
        form: the container's format.

    Returns:
        The stream, and whether there was a choice.

    Raises:
        BadData: there is no video stream, or nothing but covers.
    """
    streams = container.streams.video
    films = [stream for stream in streams if not stream.disposition & _PICTURES]
    if not films:
        what = "no film, only a picture" if streams else "no video stream"
        raise BadData(f"{path} has {what}.", fix="Check that it is the right file.")
    marked = [stream for stream in films if stream.disposition & Disposition.default] or films
    chosen = marked[0]
    if len(marked) > 1:
        lengths = _lengths(path, form, [stream.index for stream in marked])
        chosen = max(marked, key=lambda stream: (lengths[stream.index], -stream.index))
    known: object = chosen.codec_context
    if known is None:
        raise BadData(
            f"{path} is encoded in a way that this build of PyAV does not know.",
            fix="Convert it to H.264 or VP9.",
        )
    return chosen, len(films) > 1


def _lengths(path: Path, form: str, numbers: Sequence[int]) -> dict[int, tuple[Fraction, int]]:
    """Seconds and packets of some streams, counted: what containers declare is often missing."""
    first: dict[int, Fraction] = {}
    last: dict[int, Fraction] = {}
    packets = dict.fromkeys(numbers, 0)
    with av.open(f"file:{path.resolve()}", format=form, metadata_errors="replace") as container:
        for packet in container.demux(*(container.streams[number] for number in numbers)):
            number = packet.stream.index
            if number not in packets or not packet.size:
                continue
            packets[number] += 1
            time = packet.pts if packet.pts is not None else packet.dts
            if time is None or packet.time_base is None:
                continue
            start = time * packet.time_base
            end = start + (packet.duration or 0) * packet.time_base
            first[number] = min(first.get(number, start), start)
            last[number] = max(last.get(number, end), end)
    zero = Fraction(0)
    return {n: (last.get(n, zero) - first.get(n, zero), packets[n]) for n in numbers}
