"""Losses of `li`: what each is, and what it counts."""

import pytest
import torch

from tests.unit.baselines.li_toys import SIZE, SMOKE, Clips, context
from vpbench.kit import generator as seeded_generator
from vpbench_baselines.li import training
from vpbench_baselines.li.params import PARAMS
from vpbench_baselines.li.refiner import warp
from vpbench_baselines.li.settings import Settings


def test_the_faithful_loss_is_a_mean_beside_a_sum():
    """One nat of a single clip costs kl_weight pixels of mean error, however many clips."""
    divergence = torch.full((4, 5), 0.5)
    assert float(training.reduced(divergence, "sum")) == 10
    assert float(training.reduced(divergence, "mean")) == 0.5
    assert PARAMS["kl_reduction"] == "sum" and PARAMS["kl_weight"] == 0.1
    drawn, flows = torch.zeros(2, 16, 2, 4, 4), torch.full((2, 16, 2, 4, 4), -3.0)
    assert float(training.flow_loss(drawn, flows)) == 3


def test_moving_places_count_more():
    flows = torch.zeros(1, 2, 2, 1, 4)
    flows[0, 0, 1, 0, 3] = -0.6  # more than a tenth of the bound, in y alone
    flows[0, 1, 0, 0, 0] = 0.4
    weight = training.moving(flows, 5.0, 4.0)
    assert weight is not None and weight.shape == (1, 2, 1, 1, 4)
    assert weight.flatten().tolist() == [1, 1, 1, 5, 1, 1, 1, 1]
    drawn = torch.zeros(1, 16, 2, 1, 4)
    assert float(training.flow_loss(drawn, flows, weight)) == pytest.approx((5 * 0.6 + 0.4) / 24)
    assert training.moving(flows, 5.0, 0.0) is None and PARAMS["moving_weight"] == 0


def test_flow_after_the_end_of_a_short_horizon_does_not_count():
    flows = torch.ones(2, 6, 2, 4, 4)
    whole = training.filled(flows)
    assert whole.shape[1] == 16 and torch.equal(whole[:, :6], flows) and not whole[:, 6:].any()
    drawn = whole.clone()
    drawn[:, 6:] = 7
    assert float(training.flow_loss(drawn, flows)) == 0


def test_a_mirrored_clip_has_mirrored_flow():
    """Warping commutes with mirroring."""
    g = seeded_generator(0)
    frames, flows = torch.rand(2, 2, 3, 8, 8, generator=g), torch.randn(2, 1, 2, 8, 8, generator=g)
    turned, flow = training.mirrored(frames, flows, torch.tensor([True, False]))
    moved, mirrored = warp(frames[:, 0], flows[:, 0]), warp(turned[:, 0], flow[:, 0])
    torch.testing.assert_close(mirrored[0], moved[0].flip(-1))
    assert torch.equal(mirrored[1], moved[1])


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 1), ("mean", 1 / 16)])
def test_the_switch_of_the_kl_reaches_the_training(tmp_path, reduction, factor):
    """With the KL alone to learn from (its weight huge) the first loss tells which it was."""
    told = []

    class Watched(training.Trainer):
        def _run(self, made, source, rate, decay, loss_of, noise=0):
            batch = next(source[0](0))
            with torch.random.fork_rng():
                torch.manual_seed(0)
                loss, figures = loss_of(*self._clips(batch), torch.randn(2, noise))
            told.append((float(loss.detach() - figures["flow"]), float(figures["kl"])))
            return False

    settings = Settings.of({**SMOKE, "kl_reduction": reduction, "kl_weight": 1.0, "flip": False})
    ctx = context(tmp_path / "flow")
    store = training.open_store(settings, Clips(), ctx)
    Watched(settings, store, ctx).flow(*training.new_flow_model(settings, SIZE, 0))
    ((loss, kl),) = told
    assert loss == pytest.approx(kl * 2 * factor, rel=1e-4)  # two clips; 2 x 8 numbers in all
