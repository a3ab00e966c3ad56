"""Every trainable method is fitted on a GPU, predicts there as on a processor, and in bfloat16."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vpbench.api import TaskInfo
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.plan import make_plan
from vpbench.core.registry import build
from vpbench.core.rundir import StageDir
from vpbench.harness.prediction.loaded import load_method
from vpbench.metrics.i3d.extract import full_precision
from vpbench.testing.clips import sample_task_data
from vpbench.testing.training import Trainer

METHODS = sorted(
    entry.name
    for entry in build().of("method")
    if entry.spec is not None and entry.spec.kind == "method" and "smoke" in entry.spec.presets
)
STEPS = 3


@dataclass
class Setting:
    task_data: object
    run: object
    trainer: object
    first: dict

    def predict(self, device, bf16=False):
        """uint8 [4,1,16,64,64,3] with the stages that were fitted on the GPU."""
        loaded = load_method(self.run, self.task_data, build(), device)
        items = self.task_data.task.test[:4]
        given = self.task_data.conditioning(items, self.run.method)
        seeds = self.task_data.seeds(items, 0, 1)
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16), full_precision():
            return loaded.instance.predict(given, 16, seeds)


@pytest.fixture(scope="module", params=METHODS)
def setting(request, cuda, tmp_path_factory):
    """A method with preset smoke, each of whose stages was fitted for three steps on the GPU."""
    work = tmp_path_factory.mktemp(request.param)
    task_data = sample_task_data(5, 16, 64, work / "cache")
    asked = RunOptions(references=False, refit=True)
    ref = MethodRef(request.param, {"preset": "smoke"})
    (run,) = make_plan([ref], asked, task_data.task, build(), work / "runs").runs
    trainer = Trainer(
        task_data, build(), lambda _, call, *rest: call(*rest), work / "cache", device=cuda
    )
    first = {}
    for k, stage in enumerate(run.stages):
        if stage.needed:
            fitted = trainer.fit(stage, run.stages[:k], limit=STEPS)
            assert all(np.isfinite(list(figures.values())).all() for figures in fitted.logs)
            trainer.seal(stage)
            first[stage.node.key] = fitted.logs
    return Setting(task_data, run, trainer, first)


def test_predictions_are_those_of_the_processor(setting, cuda):
    here, there = setting.predict("cpu"), setting.predict(cuda)
    apart = np.abs(here.astype(int) - there).mean()
    assert here.shape == there.shape == (4, 1, 16, 64, 64, 3)
    assert apart < 0.5, f"{apart:.3f} grey levels on average"


def test_bfloat16_is_close_to_float32(setting, cuda):
    full, half = setting.predict(cuda), setting.predict(cuda, bf16=True)
    apart = np.abs(full.astype(int) - half).mean()
    assert apart < 6.0, f"{apart:.3f} grey levels on average"


def test_the_same_training_twice(setting, tmp_path):
    """Sums of gradients vary in their order: losses and weights agree to one in a thousand."""
    assert any(setting.first.values())
    for k, stage in enumerate(setting.run.stages):
        again = StageDir(tmp_path / stage.node.key)
        if not setting.first.get(stage.node.key):
            continue
        fitted = setting.trainer.fit(stage, setting.run.stages[:k], limit=STEPS, folder=again)
        for before, after in zip(setting.first[stage.node.key], fitted.logs, strict=True):
            assert after == pytest.approx(before, rel=1e-3, abs=1e-5)
        files = sorted(stage.folder.path.rglob("tensors.safetensors"))
        files = [path for path in files if "resume" not in path.parts]
        assert files
        for path in files:
            here = load_file(path)
            there = load_file(again.path / path.relative_to(stage.folder.path))
            length = sum(value.double().square().sum() for value in here.values()) ** 0.5
            apart = sum((there[k].double() - v.double()).square().sum() for k, v in here.items())
            assert apart**0.5 <= 1e-3 * length, f"{stage.node.label} {apart**0.5 / length:.2e}"


def detector(cuda):
    from vpbench_keypoints.detector import KeypointDetector
    from vpbench_keypoints.spec import DETECTOR, PRESETS

    torch.manual_seed(0)
    task = TaskInfo("toy", 64, 8, 1, None, 0, (), 0, ())
    made = KeypointDetector(task, {**DETECTOR, **PRESETS["smoke"]}, None)
    return made.net.to(cuda).eval(), torch.rand(4, 3, 64, 64, device=cuda) * 2 - 1


def test_channels_last_is_the_same_network(cuda):
    net, images = detector(cuda)
    with torch.inference_mode(), full_precision():
        plain = net(images)
        last = net.to(memory_format=torch.channels_last)(
            images.to(memory_format=torch.channels_last)
        )
    assert torch.allclose(plain, last, rtol=1e-4, atol=1e-4 * plain.abs().max().item())


def test_a_compiled_network_is_the_same_network(cuda):
    net, images = detector(cuda)
    with torch.inference_mode(), full_precision():
        plain, compiled = net(images), torch.compile(net)(images)
    assert torch.allclose(plain, compiled, rtol=1e-4, atol=1e-4 * plain.abs().max().item())
