"""What a command asks for."""

import dataclasses
import shlex

import pytest

from vpbench.core.options import RunOptions, TaskRef


@pytest.mark.parametrize("cls", [RunOptions, TaskRef])
def test_fields_are_named_and_cannot_be_changed(cls):
    with pytest.raises(TypeError):
        cls("puppets")
    made = cls(**({"dataset": "puppets"} if cls is TaskRef else {}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.dataset = "other"
    assert made == dataclasses.replace(made) and hash(made) == hash(dataclasses.replace(made))


def test_a_task_is_trained_on_its_training_clips_unless_told_otherwise():
    ref = TaskRef(dataset="puppets")
    assert (ref.task, ref.root, ref.limit, ref.train_on) == (None, None, None, "train")


def test_the_usual_run_is_one_seed_with_references_up_to_the_score():
    options = RunOptions()
    assert (options.seeds, options.fit_seeds, options.samples) == ((0,), (0,), 1)
    assert options.references and options.until == "score" and options.executor == "local"
    assert not (options.refit or options.again or options.recompute)


def test_the_one_seed_of_work_that_takes_only_one_is_the_first():
    options = RunOptions(seeds=(3, 1), fit_seeds=(5, 4))
    assert (options.seed, options.fit_seed) == (3, 5)


def test_a_command_that_is_suggested_names_the_same_task_and_folder():
    parsed = shlex.split(
        shlex.join(TaskRef(dataset="mgif[size=64]", task="a b", root="my clips").words)
    )
    assert parsed == ["--dataset", "mgif[size=64]", "--task", "a b", "--root", "my clips"]
    assert TaskRef(dataset="puppets").words == ["--dataset", "puppets"]
