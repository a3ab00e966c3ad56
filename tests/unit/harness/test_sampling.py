"""Which frames of which videos are compared: windows, options of one side, protocols."""

import itertools

import numpy as np
import pytest

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.types import ClipInfo
from vpbench.harness.scoring.sampling import (
    PROTOCOLS,
    Sampling,
    SideOptions,
    fingerprint_of,
    places_of,
    windows_of,
    with_protocol,
)


def clip(name, frames):
    return ClipInfo(name, frames, 8, 8, None)


def windows(lengths, frames, skip=0, **settings):
    sampling = Sampling(**settings)
    clips = {f"c{k:02d}": clip(f"c{k:02d}", n) for k, n in enumerate(lengths)}
    places = {k: places_of(c, frames, sampling.stride, skip) for k, c in clips.items()}
    return windows_of(clips, sampling, frames, skip, places, "real")


@pytest.mark.parametrize(
    ("settings", "skip", "wanted"),
    [
        ({}, 0, {"c00": [0, 1, 2]}),
        ({}, 2, {"c00": [2, 3, 4]}),
        ({"stride": 3}, 1, {"c00": [1, 4, 7]}),
        ({"start": "all"}, 0, {"c00#0": [0, 1, 2], "c00#1": [3, 4, 5], "c00#2": [6, 7, 8]}),
        ({"start": "all", "clips_per_video": 2}, 1, {"c00#0": [1, 2, 3], "c00#1": [4, 5, 6]}),
        ({"start": "first", "clips_per_video": 2}, 0, {"c00#0": [0, 1, 2], "c00#1": [3, 4, 5]}),
        ({"start": "all", "stride": 2}, 0, {"c00": [0, 2, 4]}),
    ],
)
def test_windows_of_a_video_of_ten_frames(settings, skip, wanted):
    made = windows([10], 3, skip, **settings)
    assert {name: list(item.targets) for name, item in made.items.items()} == wanted
    assert made.videos == 1 and not made.short
    assert all(item.cluster == "clip:c00" for item in made.items.values())


@pytest.mark.parametrize("seed", range(20))
def test_random_windows_are_inside_apart_and_depend_on_the_clip_alone(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(9, 40, 6).tolist()
    stride, skip, count = (int(rng.integers(1, n)) for n in (3, 3, 5))
    settings = {"stride": stride, "start": "random", "clips_per_video": count, "seed": seed}
    made = windows(lengths, 4, skip, **settings).items
    for item in made.values():
        assert item.targets[0] >= skip and item.targets[-1] < item.clip.frames
        assert set(np.diff(item.targets)) == {stride}
    for _, items in itertools.groupby(made.values(), lambda item: item.clip.id):
        assert len(starts := [item.targets[0] for item in items]) == len(set(starts))
    fewer = windows(lengths[:2], 4, skip, **settings).items
    assert all(made[name] == item for name, item in fewer.items())
    other = windows(lengths, 4, skip, **{**settings, "seed": seed + 100}).items
    assert other.keys() == made.keys() and other != made


def test_random_places_are_uniform():
    found = [
        next(iter(windows([13], 4, start="random", seed=seed).items.values())).targets[0]
        for seed in range(2000)
    ]
    counts = np.bincount(found, minlength=10)
    assert len(counts) == 10  # chi-square with 9 degrees of freedom, p = 0.0001
    assert ((counts - 200) ** 2 / 200).sum() < 33.7


def test_short_videos_are_refused_or_counted():
    with pytest.raises(BadData, match=r"'c01' has 3 frames, 5 are needed"):
        windows([9, 3], 4, 1)
    made = windows([9, 3, 5], 4, 1, short=True)
    assert list(made.items) == ["c00", "c02"] and made.short == 1 and made.videos == 2


def test_no_more_than_the_asked_number_of_videos_by_hash():
    many = windows([5] * 40, 4, clips=7, seed=1)
    assert many.videos == 7
    assert set(many.items) != set(windows([5] * 40, 4, clips=7, seed=2).items)
    assert set(windows([5] * 40, 4, clips=8, seed=1).items) > set(many.items)


def test_protocols_fix_what_they_name():
    made = with_protocol(Sampling(size=64, seed=3), "fvd2048_16f")
    assert (made.frames, made.start, made.clips, made.size, made.seed) == (
        16,
        "random",
        2048,
        64,
        3,
    )
    assert PROTOCOLS["fvd2048_128f"].frames == 128 and made.short
    assert with_protocol(Sampling(frames=16), "fvd2048_16f") == PROTOCOLS["fvd2048_16f"]
    with pytest.raises(UsageError, match="fixes frames to 16, not 8"):
        with_protocol(Sampling(frames=8), "fvd2048_16f")
    with pytest.raises(UsageError, match="fixes start"):
        with_protocol(Sampling(start="all"), "fvd2048_16f")
    with pytest.raises(UnknownName, match="fvd2048_16f"):
        with_protocol(Sampling(), "fvd2048_16")


@pytest.mark.parametrize(
    ("options", "sampling", "wanted"),
    [
        ({"horizon": "8"}, {}, {"frames": 8}),
        ({"horizon": "8"}, {"frames": 8}, {"frames": 8}),
        ({"horizon": "8"}, {"frames": 9}, None),
        ({"stride": "2", "windows": 3}, {}, {"stride": 2, "clips_per_video": 3}),
        ({"size": "32"}, {"size": 64}, None),
        ({"short": "exclude"}, {}, {"short": True}),
        ({"short": "loop"}, {}, None),
        ({"split": "split"}, {}, None),
        ({"horizon": "0"}, {}, None),
        ({"horizon": "many"}, {}, None),
        ({"stride": "2"}, {"protocol": "x"}, None),
        ({"group": "person", "layout": "strips"}, {}, {}),
    ],
)
def test_options_in_brackets_are_obeyed_or_refused(options, sampling, wanted):
    if wanted is None:
        with pytest.raises(UsageError):
            SideOptions.parse(options).merged(Sampling(**sampling), "real")
        return
    made = SideOptions.parse(options).merged(Sampling(**sampling), "real")
    assert made == Sampling(**{**sampling, **wanted})


def test_given_frames_do_not_count_unless_they_are_to():
    options = SideOptions.parse({"conditioning": "3"})
    assert options.skipped(Sampling()) == options.skipped(Sampling(given="exclude")) == 3
    assert options.skipped(Sampling(given="include")) == 0
    assert SideOptions().skipped(Sampling()) == 0


@pytest.mark.parametrize("bad", [{"stride": 0}, {"frames": -1}, {"start": "last"}, {"given": "no"}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(UsageError):
        Sampling(**bad)


def test_the_fingerprint_has_every_choice_and_nothing_for_the_plain_one():
    none = [SideOptions()] * 2
    plain = fingerprint_of([Sampling()] * 2, none, 16)
    assert plain == {} == fingerprint_of([Sampling(size=8, frames=16, seed=5)] * 2, none, 16)
    changed = [
        fingerprint_of([Sampling(**{"start": "random", **x})] * 2, none, 16)
        for x in (
            {},
            {"seed": 1},
            {"stride": 2},
            {"clips_per_video": 2},
            {"clips": 9},
            {"start": "all"},
            {"protocol": "p"},
        )
    ]
    changed += [
        fingerprint_of([Sampling(), Sampling(stride=2)], none, 16),
        fingerprint_of([Sampling(stride=2), Sampling()], none, 16),
        fingerprint_of([Sampling()] * 2, [SideOptions(given=1), SideOptions()], 16),
        fingerprint_of([Sampling()] * 2, [SideOptions(given=1)] * 2, 16),
        fingerprint_of([Sampling(given="include")] * 2, [SideOptions(given=1)] * 2, 16),
    ]
    assert all(changed) and len({str(fields) for fields in changed}) == len(changed)


@pytest.mark.parametrize(
    ("rates", "strides", "says"),
    [
        (([8.0, 8.0], [8.0]), (1, 1), []),
        (([16.0], [8.0]), (2, 1), []),
        (([30.0], [8.0]), (1, 1), ["frame rates differ: a has 30 frames a second, b 8"]),
        (([8.0, 25.0], [8.0]), (1, 1), ["a mixes frame rates: 8, 25 a second"]),
        (([None], [8.0]), (1, 1), []),
    ],
)
def test_frame_rates_that_differ_are_a_note(rates, strides, says):
    from vpbench.harness.scoring.measure import Side, _rates

    sides = tuple(
        Side(
            name, None, {str(k): ClipInfo(str(k), 9, 8, 8, None, fps) for k, fps in enumerate(own)}
        )
        for name, own in zip("ab", rates, strict=True)
    )
    assert _rates(sides, tuple(Sampling(stride=n) for n in strides)) == says
