"""Predictions, parameters, labels and the oracle of `wichers`, and what it says of itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from tests.unit.baselines.wichers_toys import (
    GIVEN,
    HORIZON,
    SEEDS,
    SIZE,
    SMOKE,
    TASK,
    Clips,
    context,
    fitted,
    given,
)
from vpbench.api import (
    Conditioning,
    Corrupt,
    Refused,
    TaskInfo,
)
from vpbench.core.names import MethodRef
from vpbench.core.plan import row_kind
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench_baselines.common import notes
from vpbench_baselines.wichers.method import Wichers
from vpbench_baselines.wichers.params import PARAMS, PRESETS, STAGES
from vpbench_baselines.wichers.settings import Settings
from vpbench_baselines.wichers.spec import DEVIATIONS, SPEC


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_only_frames_after_the_given_ones_are_returned(n):
    """What the predictor says of given frames is dropped: the first frame is that of t0 + 1."""
    method = Wichers(TASK, {**SMOKE, "variant": "epva"}, {})
    video = method.predict(given(n), 4, SEEDS)
    assert video.shape == (2, 2, 4, SIZE, SIZE, 3)
    with torch.inference_mode():
        frames = torch.from_numpy(given(n).frames / 255).float().permute(0, 1, 4, 2, 3)
        codes = method.networks.encoder(frames, True)
        rolled = method.networks.predictor(codes, n + 3, None, True)
        wanted = method.networks.decoder(frames[:, 0], codes[:, 0], rolled[:, n - 1 :])
    wanted = (wanted.clamp(0, 1) * 255).round().permute(0, 1, 3, 4, 2).numpy()
    assert np.abs(video[:, 0].astype(float) - wanted).max() <= 1


def test_a_longer_horizon_begins_with_the_shorter_one_and_seeds_count():
    method = Wichers(TASK, SMOKE, {})
    with torch.no_grad():
        method.networks.predictor.shake.weight.normal_(generator=torch.Generator().manual_seed(0))
    short, long = (method.predict(given(), t, SEEDS) for t in (5, 19))
    assert np.abs(long[:, :, :5].astype(int) - short).max() <= 1
    swapped = method.predict(given(), 5, SEEDS[:, ::-1])
    assert np.array_equal(swapped, short[:, ::-1])
    assert not np.array_equal(short[:, 0], short[:, 1])


def test_memory_and_disk_hold_the_same_weights(tmp_path):
    method, _ = fitted(tmp_path, ("epva", "adversarial"))
    method.save("adversarial", tmp_path / "saved")
    other = Wichers(TASK, SMOKE, {})
    other.load("adversarial", tmp_path / "saved", "cpu")
    for name, value in method.networks.state_dict().items():
        assert torch.equal(value, other.networks.state_dict()[name]), name
        assert value.ndim < 2 or torch.equal(value, value.half().float()), name
    assert np.array_equal(method.predict(given(), 4, SEEDS), other.predict(given(), 4, SEEDS))
    other.save("adversarial", tmp_path / "again")
    names = [p.name for p in (tmp_path / "saved").iterdir()]
    for name in names:
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_weights_of_other_sizes_are_refused_with_a_sentence(tmp_path):
    method, _ = fitted(tmp_path, steps=1)
    method.save("epva", tmp_path / "saved")
    other = Wichers(TASK, {**SMOKE, "encoding": 9}, {})
    with pytest.raises(Corrupt, match="other settings"):
        other.load("epva", tmp_path / "saved", "cpu")
    with pytest.raises(Corrupt, match=r"lacks predictor\.shake"):
        Wichers(TASK, SMOKE, {}).load("adversarial", tmp_path / "saved", "cpu")


def test_a_stage_says_which_preset_it_belongs_to():
    epva = next(s for s in STAGES if s.name == "epva").params
    for name, preset in PRESETS.items():
        params = {**PARAMS, **preset}
        assert notes.preset_of(params, PARAMS, PRESETS) == name
        changed = {**params, "critic_steps": 9}
        assert notes.preset_of(changed, PARAMS, PRESETS) == notes.OWN
        assert notes.preset_of(changed, PARAMS, PRESETS, epva) == name  # not its parameter


@pytest.mark.parametrize(("n_max", "marked"), [(1, True), (2, False), (5, False)])
def test_a_task_with_one_given_frame_marks_the_row(tmp_path, n_max, marked):
    ctx = context(tmp_path)
    ctx.task = TaskInfo("toy", SIZE, HORIZON, n_max, None, 0, (), 0, ())
    notes.note_stage(ctx, "smoke", 5, 20)
    assert ("adapted n=1" in ctx.notes.notes) is marked
    assert ctx.notes.not_comparable == ["preset smoke"]
    assert any("reimplementation" in m for m in ctx.notes.notes)


@pytest.mark.parametrize(
    ("preset", "steps", "reasons"),
    [
        (notes.OWN, 99, ["a few training steps only"]),
        (notes.OWN, 100, []),
        ("cpu", 100, []),
        ("smoke", 5000, ["preset smoke"]),
    ],
)
@pytest.mark.parametrize("note", [notes.note_stage, notes.note_reference])
def test_after_a_few_steps_a_row_is_not_comparable(tmp_path, note, preset, steps, reasons):
    ctx = context(tmp_path)
    note(ctx, preset, 1, steps)
    assert ctx.notes.not_comparable == reasons


def test_presets_name_known_parameters_and_stages_all_of_them():
    assert set(SPEC.params) == set(Settings.__dataclass_fields__)
    assert all(set(p) <= set(PARAMS) for p in PRESETS.values())
    named = {p for s in STAGES for p in s.params or ()}
    assert named == set(PARAMS) - {"variant", "oracle"}


def test_the_documentation_lists_every_deviation():
    text = " ".join((Path(__file__).parents[3] / "docs" / "baselines.md").read_text().split())
    assert all(d in text for d in DEVIATIONS)
    assert "reimplementation" in SPEC.summary


LABELLED = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 3, ("a", "b", "c"), 0, ())


def labelled(label, batch=2):
    return Conditioning(given().frames, label, None, None, ("a", "b"))


def test_the_label_stands_in_the_action_slot():
    on = Settings.of({**SMOKE, "label": "on", "action_slot": 0})
    assert on.slot(3) == 3 and Settings.of({**SMOKE, "action_slot": 5}).slot(3) == 5
    assert Settings.of({**SMOKE, "label": "on", "action_slot": 5}).slot(3) == 5
    wide = Settings.of({**SMOKE, "label": "on", "action_slot": 5})
    found = wide.actions(torch.tensor([2, 0]), 2, 3)
    assert found.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    off = Settings.of({**SMOKE, "action_slot": 5}).actions(torch.tensor([2, 0]), 2, 3)
    assert not off.any() and off.shape == (2, 5)


def test_another_label_is_another_future_and_without_one_it_refuses():
    method = Wichers(LABELLED, {**SMOKE, "variant": "epva", "label": "on"}, {})
    with torch.no_grad():
        method.networks.predictor.enter.weight.normal_(generator=torch.Generator().manual_seed(0))
    one, two = (method.predict(labelled(np.array(k)), 4, SEEDS) for k in ([0, 1], [0, 2]))
    assert np.array_equal(one[0], two[0]) and not np.array_equal(one[1], two[1])
    with pytest.raises(Refused, match="label"):
        method.predict(labelled(None), 4, SEEDS)
    without = Wichers(LABELLED, {**SMOKE, "variant": "epva"}, {})
    plain = [without.predict(labelled(k), 4, SEEDS) for k in (None, np.array([0, 1]))]
    assert np.array_equal(*plain)


def test_a_stage_is_trained_with_labels(tmp_path):
    class Classes(Clips):
        def batches(self, *words, **more):
            for made in super().batches(*words, **more):
                yield replace(made, label=made.index % 3)

    ctx = context(tmp_path)
    ctx.task = LABELLED
    method = Wichers(LABELLED, {**SMOKE, "label": "on", "variant": "epva"}, {})
    before = method._networks(5, 0).predictor.enter.weight[:, -3:].clone()
    method.fit("epva", Classes(), ctx)
    after = method.networks.predictor.enter.weight[:, -3:]
    assert ((before - after).abs() > 1e-3).any(0).all()  # of all three classes


def test_the_oracle_draws_true_encodings():
    oracle = Wichers(TASK, {**SMOKE, "oracle": "on"}, {})
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE) for k in range(2)])
    future = clips[:, GIVEN : GIVEN + 10]
    video = oracle.predict(given(), future, 10, SEEDS)
    assert video.shape == (2, 2, 10, SIZE, SIZE, 3) and np.array_equal(video[:, 0], video[:, 1])
    with torch.inference_mode():
        to = lambda x: torch.from_numpy(x / 255).float().movedim(-1, -3)  # noqa: E731
        networks = oracle.networks
        first = to(clips[:, 0])
        codes = networks.encoder(to(future), True)
        wanted = networks.decoder(first, networks.encoder(first[:, None], True)[:, 0], codes)
    wanted = (wanted.clamp(0, 1) * 255).round().movedim(2, -1).numpy()
    assert np.abs(video[:, 0].astype(float) - wanted).max() <= 1
    assert type(Wichers(TASK, SMOKE, {})) is Wichers


def test_capabilities_follow_the_parameters():
    def found(text):
        method = resolve(MethodRef.parse(text), registry(), 64)
        return method.capabilities, row_kind(method), method.uses

    plain, kind, uses = found("wichers")
    assert (plain.label, plain.oracle, kind, uses) == ("no", False, "method", [])
    on, kind, uses = found("wichers[label=on]")
    assert (on.label, kind, uses) == ("required", "method", ["label"])
    oracle, kind, _ = found("wichers[oracle=on]")
    assert oracle.oracle and not oracle.stochastic and kind == "oracle"
