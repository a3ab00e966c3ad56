"""What a fit under check is given."""

from vpbench.api import TaskInfo
from vpbench.core.rundir import StageDir
from vpbench.kit import VGG19
from vpbench.testing import training
from vpbench.testing.training import LimitedContext

TASK = TaskInfo("toy", 16, 4, 1, None, 0, (), 0, ())


def test_weights_come_from_the_users_cache_and_what_is_kept_goes_elsewhere(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(training, "find_weights", lambda *given: asked.append(given))
    ctx = LimitedContext(
        TASK,
        (),
        "cpu",
        1,
        0,
        StageDir(tmp_path / "stage"),
        "toy:fit",
        tmp_path / "given",
        lambda event: None,
        pretrained=tmp_path / "user",
        declared=(VGG19,),
    )
    ctx.weights("vgg19")
    assert asked == [("vgg19", (VGG19,), tmp_path / "user")]
    assert ctx.cache("flow", "dis").is_relative_to(tmp_path / "given")


def test_a_fit_is_asked_to_stop_after_two_steps(tmp_path):
    ctx = LimitedContext(
        TASK, (), "cpu", 1, 0, StageDir(tmp_path), "toy:fit", tmp_path, lambda event: None
    )
    found = []
    for _ in range(3):
        found.append(ctx.should_stop)
        ctx.step()
    assert found == [False, False, True] and ctx.over == 1
