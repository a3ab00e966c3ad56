"""The second network of `li` that starts from its warp and learns from its own rollouts."""

import pytest
import torch
from torch.nn import functional as F

from tests.unit.baselines.li_toys import (
    HORIZON,
    SIZE,
    SMOKE,
    TASK,
    Clips,
    fitted,
    lines,
)
from vpbench.api import UsageError
from vpbench.kit import seeded, to_tensor
from vpbench_baselines.li.method import Li
from vpbench_baselines.li.params import LATER, PARAMS
from vpbench_baselines.li.refiner import Refiner, warped
from vpbench_baselines.li.settings import Settings
from vpbench_baselines.li.training import new_refiner


def pictures(size=24, steps=3):
    with seeded(1):
        return torch.rand(2, 3, size, size), torch.randn(2, steps, 2, size, size)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_before_training_it_draws_the_warp(levels):
    frame, flows = pictures()
    with seeded(0):
        mine, published = Refiner(4, levels, "warp"), Refiner(4, levels)
    assert torch.equal(mine.rollout(frame, flows), warped(frame, flows))
    assert not torch.allclose(published.rollout(frame, flows), warped(frame, flows), atol=0.05)
    assert {k: v.shape for k, v in mine.state_dict().items()} == {
        k: v.shape for k, v in published.state_dict().items()
    }


def test_what_is_drawn_is_added_to_the_warped_frame():
    frame, flows = pictures()
    with seeded(0):
        mine, published = Refiner(4, 1, "warp"), Refiner(4, 1)
    mine.load_state_dict(published.state_dict())
    seen = warped(frame, flows[:, :1])[:, 0]
    torch.testing.assert_close(mine(frame, flows[:, 0]) - seen, published(frame, flows[:, 0]))


def test_the_loss_is_that_of_all_frames_that_it_draws_in_a_row(tmp_path):
    """Recomputed from the first weights, where nothing is learned."""
    changed = {
        "refiner_rollout": 4,
        "refiner_steps": 1,
        "refiner_rate": 0.0,
        "refiner_batch": 4,
        "flip": False,
    }
    clips = Clips()
    method, ctx = fitted(tmp_path, "refiner", clips, **changed)
    frames = torch.stack([to_tensor(c[:5]) for c in clips.clips])
    from vpbench_baselines.li.flows import FlowStore, flow_batches
    from vpbench_baselines.li.teachers import make_teacher

    store = FlowStore(clips, make_teacher("dis", ctx.weights), ctx.cache("flow", "dis"))
    batch = next(flow_batches(store, "train", method.settings.pairs(), 4))
    first = new_refiner(method.settings, ctx.seed)
    with torch.inference_mode():
        fake = first.rollout(frames[:, 0], torch.from_numpy(batch.flows))
    want = 1000.0 * float(F.mse_loss(fake, frames[:, 1:]))
    assert batch.flows.shape[1] == 4
    assert lines(ctx)[0]["colour"] == pytest.approx(want, rel=1e-4)


@pytest.mark.e2e
def test_learning_in_a_row_costs_less_in_a_row_than_learning_alone(tmp_path):
    """Trained on true frames alone, errors add up along the rollout; trained on its own, less."""
    ends = {}
    for rollout in (1, 4):
        steps = {"refiner_steps": 60, "refiner_rate": 2e-3, "refiner_rollout": rollout}
        clips = Clips()
        method, _ = fitted(tmp_path / str(rollout), "refiner", clips, refiner_start="warp", **steps)
        frames = torch.stack([to_tensor(c[: 1 + HORIZON]) for c in clips.clips])
        still = torch.zeros(len(frames), HORIZON, 2, *frames.shape[-2:])
        with torch.inference_mode():
            # nothing moves: each further frame should be the first one
            drawn = method.refiner.eval().rollout(frames[:, 0], still)
        ends[rollout] = float((drawn[:, -1] - frames[:, 0]).square().mean())
    assert ends[4] < ends[1]


def test_defaults_are_the_published_network_and_leave_keys_alone():
    assert LATER["refiner_start"] == PARAMS["refiner_start"] == "network"
    assert LATER["refiner_rollout"] == PARAMS["refiner_rollout"] == 1


def test_without_recursion_nothing_is_redrawn_twice():
    frame, flows = pictures(SIZE)
    plain, once = (Li(TASK, {**SMOKE, "recursion": r}, {}) for r in ("on", "off"))
    with torch.inference_mode():
        chained, drawn = plain._drawn(frame, flows), once._drawn(frame, flows)
        before = [frame, *warped(frame, flows)[:, :-1].unbind(1)]
        want = [once.refiner(f, flows[:, t]) for t, f in enumerate(before)]
    torch.testing.assert_close(drawn, torch.stack(want, 1))
    torch.testing.assert_close(drawn[:, 0], chained[:, 0])  # the first frame is the same
    assert not torch.allclose(drawn[:, 1], chained[:, 1], atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"refiner_start": "flow"}, "refiner_start"),
        ({"refiner_rollout": 0}, "refiner_rollout"),
        ({"refiner_rollout": 3, "pair_gap": 2}, "pair_gap=2 leaves some out"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(changed, said):
    with pytest.raises(UsageError, match=said):
        Settings.of({**SMOKE, **changed})


def test_a_pair_is_its_two_ends_and_a_rollout_all_between():
    assert Settings.of({**SMOKE, "pair_gap": 2}).pairs().length == 3
    assert Settings.of({**SMOKE, "refiner_rollout": 5}).pairs().length == 6
