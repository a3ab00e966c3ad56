"""Which clips a page shows: best and worst first, the others drawn class by class."""

import pytest

from vpbench.board.clips import choose_clips

CLIPS = {f"c{k:02d}": "abc"[k % 3] for k in range(12)}


def test_best_and_worst_of_each_row_come_first():
    one = {name: float(k) for k, name in enumerate(CLIPS)}
    other = {name: -abs(k - 5.0) for k, name in enumerate(CLIPS)} | {"not shown": 99.0}
    choice = choose_clips(CLIPS, [one, other], "PSNR")
    assert choice.order[:3] == ("c00", "c11", "c05") and choice.extremes == 3
    assert sorted(choice.order) == sorted(CLIPS)
    classes = [CLIPS[name] for name in choice.order[3:6]]
    assert sorted(classes) == ["a", "b", "c"]
    assert choice == choose_clips(dict(reversed(CLIPS.items())), [one, other], "PSNR")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (12, "All 12 test clips are shown."),
        (2, "2 of 12 test clips are shown: best and worst by PSNR of each row, rows in turn."),
        (
            5,
            "5 of 12 test clips are shown: the best and the worst by PSNR of each row, the others "
            "drawn at random (seed 0), classes in turn.",
        ),
    ],
)
def test_the_rule_is_said(count, said):
    values = {name: float(k) for k, name in enumerate(CLIPS)}
    choice = choose_clips(CLIPS, [values], "PSNR")
    assert choice.rule(count) == said and len(choice.first(count)) == count


def test_without_values_or_classes_clips_are_drawn():
    choice = choose_clips({"b": "", "a": "", "c": ""}, [], "")
    assert sorted(choice.order) == ["a", "b", "c"]
    assert "drawn at random" in choice.rule(2)
