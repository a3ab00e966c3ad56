"""Training windows on the device, and the averaged training that the baselines may share."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.baselines.latent_flow_toys import TASK, Clips, context, lines
from vpbench.kit import to_tensor
from vpbench_baselines.common import windows
from vpbench_baselines.common.averaged import AveragedTraining
from vpbench_baselines.common.checks import check_redrawn, check_samples
from vpbench_baselines.common.windows import Source, augmented


@pytest.mark.parametrize("seed", range(6))
def test_a_changed_clip_is_a_shifted_and_mirrored_one_alike_in_all_frames(seed, monkeypatch):
    monkeypatch.setattr(windows, "_BRIGHTNESS", 0.0)
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (2, 3, 20, 36, 3), np.uint8)
    torch.manual_seed(seed)
    video = augmented(torch.from_numpy(frames))
    assert video.shape == (2, 3, 3, 20, 36)
    for clip, made in zip(frames, video, strict=True):
        found = []
        for dy in range(-1, 2):  # a sixteenth of 20 and of 36 px
            for dx in range(-2, 3):
                moved = clip[:, np.clip(np.arange(20) + dy, 0, 19)]
                moved = moved[:, :, np.clip(np.arange(36) + dx, 0, 35)]
                found += [
                    torch.equal(to_tensor(v.copy()), made) for v in (moved, moved[:, :, ::-1])
                ]
        assert sum(found) == 1


def test_all_changes_occur_and_brightness_stays_near_1():
    frames = torch.arange(32, dtype=torch.uint8)[None, None, None, :, None]
    frames = frames.expand(400, 1, 32, 32, 3) * 7
    torch.manual_seed(0)
    video = augmented(frames)
    falling = video[:, 0, 0, 0, 4] > video[:, 0, 0, 0, 20]
    assert 0.4 < falling.float().mean() < 0.6
    gain = augmented(torch.full((400, 1, 16, 16, 3), 51, dtype=torch.uint8)) / 0.2
    assert torch.equal(gain.amin((1, 2, 3, 4)), gain.amax((1, 2, 3, 4)))  # one for a whole clip
    assert 0.89 < gain.min() < 0.93 and 1.07 < gain.max() < 1.11
    assert augmented(torch.full((40, 1, 16, 16, 3), 255, dtype=torch.uint8)).max() == 1


def test_a_pool_holds_windows_of_every_clip_and_resumes(tmp_path):
    clips = Clips(clips=5)
    source = Source(clips, context(tmp_path / "codec"), 4, pool=3)

    def drawn(done):
        batches = source.batches(7, done)
        torch.manual_seed(11)
        return next(batches)

    one, again = drawn(0), drawn(5)
    assert torch.equal(one.frames, again.frames) and one.index == again.index
    kept = source._kept
    assert sorted(kept.index) == sorted(list(range(5)) * 3) and kept.frames.dtype == torch.uint8
    for frames, label, number in zip(one.frames, one.label, one.index, strict=True):
        assert np.array_equal(frames.numpy(), clips.clips[number][:4]) and label == number % 2


def test_without_a_pool_batches_are_those_of_the_data(tmp_path):
    clips = Clips(labelled=False)
    batches = Source(clips, context(tmp_path / "codec"), 4).batches(3, 2)
    made = next(batches)
    assert made.index == [2, 3, 0] and made.label.tolist() == [-1, -1, -1]
    assert np.array_equal(made.frames[0].numpy(), clips.clips[2][:4])


def test_held_out_clips_begin_at_the_last_given_frame(tmp_path):
    ctx = context(tmp_path / "codec")
    held_out = Source(Clips(), ctx, 1 + TASK.horizon).held_out(ctx, 9)
    assert held_out.index == [0, 1] and held_out.frames.shape[1] == 7
    assert np.array_equal(held_out.frames[1].numpy(), Clips().clips[1][1:8])
    assert Source(Clips(val=0), ctx, 7).held_out(ctx, 9) is None


def test_some_frames_are_the_first_and_others_of_the_same_clip():
    frames = torch.arange(60).view(5, 12)
    picked = windows.some_frames(frames, 40)
    assert picked.shape == (5, 41) and torch.equal(picked[:, 0], frames[:, 0])
    for clip, some in zip(frames, picked, strict=True):
        assert set(some[1:].tolist()) <= set(clip[1:].tolist()) and len(set(some.tolist())) > 8


class Scalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.zeros(1))


class Trained:
    """A number on its way to 1, and what was seen of it."""

    def __init__(self, folder, steps, held_out=None, goal=0.5):
        self.before, self.asked = [], []
        self.ctx = context(folder / "codec")
        self.goal = goal
        source = Source(Clips(), self.ctx, 2)
        clips = source.held_out(self.ctx, 2) if held_out else None
        self.training = AveragedTraining("a:b", self.ctx, steps, 0.1, "fp32", clips)
        self.net = self.training.run(Scalar(), self.losses, source, 1)

    def losses(self, net, clips):
        if not net.training:
            self.asked.append((abs(float(net.x) - self.goal), float(net.x), clips.index))
            return {"far": (net.x - self.goal).abs().sum()}
        self.before.append(float(net.x.detach()))
        return {"loss": (net.x - 1).square().sum()}


def test_the_average_is_the_moving_one_of_all_steps(tmp_path):
    done = Trained(tmp_path, 30)
    average = 0.0
    for step, weight in enumerate(done.before[1:]):
        decay = min(0.999, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
    # the weight after the last step is seen by nobody: it lies a short way on
    decay = 30 / 39
    last = (float(done.net.x) - decay * average) / (1 - decay)
    assert abs(last - done.before[-1]) < 0.02 and done.before[-1] > 0.05
    assert not done.net.x.requires_grad and not done.asked


def test_the_weights_that_are_kept_scored_best_on_validation(tmp_path):
    done = Trained(tmp_path, 500, held_out=True)
    values = [value for value, _, _ in done.asked]
    assert len(values) == 20 and values[::2] == values[1::2]  # two passes each
    logged = [x["val_score"] for x in lines(done.ctx) if "val_score" in x]
    assert logged == pytest.approx(values[::2])
    best = min(done.asked)
    assert float(done.net.x) == best[1] != done.asked[-1][1] and best[2] == [0, 1]


def test_a_device_is_asked_for_figures_at_logged_steps_only(tmp_path):
    training = AveragedTraining("a:b", context(tmp_path / "codec"), 4000, 0.1, "fp32", None)
    asked = [k for k in range(1, 4001) if training._figures(k, {"loss": torch.ones(())})]
    assert asked == [1, *range(20, 4001, 20)]


def test_samples_are_checked_for_their_motion_and_their_spread(tmp_path):
    """Clips that are their own prediction move as real ones do, and all alike."""
    ctx = context(tmp_path / "codec")
    held_out = Source(Clips(), ctx, 1 + TASK.horizon).held_out(ctx, 9)
    clips = to_tensor(held_out.frames)

    def of(first):
        (number,) = (k for k in range(2) if torch.equal(clips[k, 0], first[0]))
        return clips[number : number + 1, 1:]

    check_samples(held_out, lambda first, label, seed: of(first), ctx)
    assert lines(ctx)[-1]["val_change"] == 1 and lines(ctx)[-1]["val_spread"] == 0
    passed = [check.passed for check in ctx.notes.checks.values()]
    assert passed == [True, False]
    held = lambda first, label, seed: of(first) if seed % 2 else first[:, None].expand_as(of(first))  # noqa: E731
    check_samples(held_out, held, ctx)
    assert lines(ctx)[-1]["val_change"] == 0 and lines(ctx)[-1]["val_spread"] == 1
    check_redrawn(held_out, lambda clip: (clip[:, 1:] + clip[:, :1]) / 2, ctx)
    assert lines(ctx)[-1]["val_gain"] == pytest.approx(20 * np.log10(2), rel=1e-4)
