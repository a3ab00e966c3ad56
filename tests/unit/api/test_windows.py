"""Window rules, against the tasks' own words and against a slow restatement."""

import random

import pytest

from vpbench.api import UsageError, WindowRule

PENN = WindowRule(1, 32, "spread", short="double")
CONTEXT = WindowRule(10, 16, "spread")
MGIF = WindowRule(1, 32, "spread", short="loop")
PUPPETS = WindowRule(5, 16)


@pytest.mark.parametrize("frames", [*range(33, 140), 663])
def test_penn_takes_every_floor_of_a_33rd_frame_from_the_first(frames):
    gap = frames // 33
    assert PENN.indices(frames) == [tuple(gap * k for k in range(33))]


@pytest.mark.parametrize("frames", range(17, 33))
def test_short_penn_clips_show_frames_0_to_16_each_future_frame_twice(frames):
    expected = [0] + [k for k in range(1, 17) for _ in range(2)]
    assert PENN.indices(frames) == [tuple(expected)]


def test_penn_clips_under_17_frames_are_left_out():
    assert PENN.needed == 17
    assert all(PENN.indices(frames) == [] for frames in range(17))


@pytest.mark.parametrize("frames", range(140))
def test_penn_context_gives_ten_frames_up_to_nine_gaps(frames):
    gap = max(1, frames // 26)
    if frames < 26:
        assert CONTEXT.indices(frames) == []
        return
    ((*window,),) = CONTEXT.indices(frames)
    assert window[9] == 9 * gap  # t0
    assert window == [gap * k for k in range(26)]


@pytest.mark.parametrize("frames", range(1, 140))
def test_mgif_loops_clips_under_33_frames(frames):
    gap = max(1, frames // 33)
    assert MGIF.indices(frames) == [tuple(gap * k % frames for k in range(33))]
    assert MGIF.needed == 1


def test_puppets_takes_frames_0_to_20():
    assert PUPPETS.indices(24) == [tuple(range(21))]
    assert PUPPETS.indices(20) == [] and PUPPETS.needed == 21


def slow(rule, frames):
    """The rule, restated: try every start, keep what fits and does not overlap."""
    length = rule.n_max + rule.horizon
    gap = rule.gap
    if gap == "spread":
        gap = 1
        while rule.start + (gap + 1) * length <= frames:
            gap += 1
    found, free = [], rule.start
    for start in range(frames):
        window = [start + k * gap for k in range(length)]
        if start >= free and window[-1] < frames and len(found) < rule.windows:
            found.append(tuple(window))
            free = start + length * gap
            break_at = free  # the next one continues where this one would
            assert break_at > window[-1]
    if found:
        return found
    if rule.short == "loop" and frames:
        return [tuple((rule.start + k * gap) % frames for k in range(length))]
    if rule.short == "double":
        given = [rule.start + k for k in range(rule.n_max)]
        later = [i for k in range(frames + length) for i in (given[-1] + 1 + k,) * 2]
        window = (given + later)[:length]
        if window[-1] < frames:
            return [tuple(window)]
    return []


def test_random_rules_against_the_slow_restatement():
    rng = random.Random(0)
    for _ in range(4000):
        rule = WindowRule(
            rng.randint(1, 6),
            rng.randint(1, 9),
            rng.choice(["spread", 1, 1, 2, 3]),
            rng.choice([0, 0, 1, 4]),
            rng.randint(1, 4),
            rng.choice(["exclude", "loop", "double"]),
        )
        frames = rng.randint(0, 60)
        assert rule.indices(frames) == slow(rule, frames), (rule, frames)


def test_random_windows_lie_in_the_clip_and_share_no_frame():
    rng = random.Random(1)
    for _ in range(2000):
        rule = WindowRule(
            rng.randint(1, 4),
            rng.randint(1, 6),
            rng.randint(1, 3),
            rng.randint(0, 5),
            rng.randint(1, 9),
        )
        frames = rng.randint(0, 90)
        windows = rule.indices(frames)
        used = [i for w in windows for i in w]
        assert len(used) == len(set(used)) and all(rule.start <= i < frames for i in used)
        assert bool(windows) == (frames >= rule.needed)
        assert len(windows) <= rule.windows
        if len(windows) < rule.windows and windows:  # no room for one more
            assert frames <= windows[-1][-1] + (rule.length) * rule.step(frames)


@pytest.mark.parametrize("short", ["exclude", "double", "loop"])
@pytest.mark.parametrize("gap", ["spread", 1, 2])
@pytest.mark.parametrize("start", [0, 3])
def test_needed_is_the_fewest_frames_that_give_a_window(short, gap, start):
    rule = WindowRule(2, 5, gap, start, short=short)
    assert all(rule.indices(n) == [] for n in range(rule.needed))
    assert all(rule.indices(n) for n in range(rule.needed, 80))


def test_the_rule_error_names_both_counts():
    rule = WindowRule(1, 16, 2, 3, short="error")
    with pytest.raises(UsageError, match="has 35 frames, 36 are needed"):
        rule.indices(35)
    assert rule.indices(36) == [tuple(range(3, 36, 2))]


@pytest.mark.parametrize(
    "fields",
    [
        {"n_max": 0},
        {"horizon": 0},
        {"windows": 0},
        {"gap": 0},
        {"gap": -1},
        {"start": -1},
        {"short": "drop"},
    ],
)
def test_rules_that_make_no_sense(fields):
    with pytest.raises(UsageError):
        WindowRule(**{"n_max": 1, "horizon": 1, **fields})
