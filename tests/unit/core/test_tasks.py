"""Test items, and the hashes that say what a task is."""

from dataclasses import replace

import pytest
from core_toys import clip, task

from vpbench.api import BadData, MissingData, TaskSpec, WindowRule
from vpbench.core.tasks import (
    check_labels,
    check_test,
    folder_task_id,
    make_items,
    training_task,
)

TEST = [clip("test-a"), clip("test-b", label=1)]


def test_items_hold_given_and_target_frames_in_the_order_of_ids():
    spec = TaskSpec("t", WindowRule(2, 3, 2, windows=2), 64)
    items, excluded = make_items(spec, [clip("b", 9), clip("a", 20), clip("c", 8)])
    assert [i.id for i in items] == ["a#0", "a#1", "b"] and excluded == 1
    assert (items[1].given, items[1].targets) == ((10, 12), (14, 16, 18))
    assert items[1].clip.id == "a" and items[1].cluster == "clip:a"
    grouped, _ = make_items(spec, [clip("a", 9, group="joe")])
    assert grouped[0].cluster == "group:joe"


def test_clips_with_one_id_are_refused_by_name():
    spec = TaskSpec("t", WindowRule(1, 3), 64)
    with pytest.raises(BadData, match="two clips are called 'twin'"):
        make_items(spec, [clip("twin"), clip("other"), clip("twin")])


def test_a_clip_called_as_another_s_window_is_refused():
    spec = TaskSpec("t", WindowRule(1, 3, windows=2), 64)
    with pytest.raises(BadData, match="'a#1' is called as a window of 'a'"):
        make_items(spec, [clip("a", 8), clip("a#1", 4)])
    assert len(make_items(spec, [clip("a", 4), clip("a#1", 4)])[0]) == 2


def test_short_clips_are_an_error_where_the_rule_says_so():
    spec = TaskSpec("t", WindowRule(1, 16, short="error"), 64)
    with pytest.raises(BadData, match=r"the clip 'a' has 9 frames, 17 are needed.*short=exclude"):
        make_items(spec, [clip("a", 9)])


@pytest.mark.parametrize(
    ("label", "classes", "said"),
    [
        (None, 2, "has no label"),
        (2, 2, "label 2 .* out of range; there are 2"),
        (-1, 2, "label -1 "),
        (0, 0, "there are 0 classes"),
    ],
)
def test_labels_out_of_range_are_refused_by_name(label, classes, said):
    items = task({"test": [clip("fine", label=0), clip("odd", label=label)]}).items["test"]
    with pytest.raises(BadData, match=f"there: .*{said}") as caught:
        check_labels(items if classes else items[1:], classes, "there")
    assert "'odd'" in str(caught.value)


def test_labels_in_range_pass():
    check_labels(task().items["test"], 2, "there")
    check_labels(task({"test": [clip("a", label=None)]}).items["test"], 0, "there")


def test_a_task_without_test_clips_says_why():
    spec = TaskSpec("t", WindowRule(2, 15), 64)
    with pytest.raises(MissingData, match=r"all 3 test clips have fewer than the 17 frames"):
        check_test((), 3, spec, "there")
    with pytest.raises(MissingData, match="there has no test clips"):
        check_test((), 0, spec, "there")
    check_test(task().items["test"], 0, spec, "there")


SPLIT_CHANGES = {
    "an id": {"test": [clip("test-a"), clip("test-c", label=1)]},
    "a label": {"test": [clip("test-a"), clip("test-b", label=0)]},
    "a clip less": {"test": TEST[:1]},
    "a clip more": {"test": [*TEST, clip("test-c")]},
    "the role of a training clip": {
        "train": [clip("train-a")],
        "val": [clip("train-b", label=1), clip("val-a"), clip("val-b", label=1)],
    },
    "a validation id": {"val": [clip("val-a"), clip("val-z", label=1)]},
}


@pytest.mark.parametrize("what", SPLIT_CHANGES)
def test_split_hash_changes_with_ids_labels_and_roles(what):
    assert task(SPLIT_CHANGES[what]).split_hash != task().split_hash


@pytest.mark.parametrize(
    "window", [WindowRule(2, 7), WindowRule(2, 6, 2), WindowRule(2, 6, start=1)]
)
def test_split_hash_changes_with_the_frames_taken(window):
    assert task(window=window).split_hash != task().split_hash


@pytest.mark.parametrize(
    "same",
    [
        {"test": TEST[::-1]},
        {"test": [replace(c, sha256="other") for c in TEST]},
        {"test": [replace(c, fps=3.0, note="x", group="g", height=99) for c in TEST]},
    ],
)
def test_split_hash_does_not_change_with_order_or_content(same):
    assert task(same).split_hash == task().split_hash
    assert task(size=128).split_hash == task().split_hash


def test_data_hash_changes_with_the_bytes_of_test_clips_only():
    changed = [replace(TEST[0], sha256="other"), TEST[1]]
    assert task({"test": changed}).data_hash != task().data_hash
    swapped = [replace(a, sha256=b.sha256) for a, b in zip(TEST, TEST[::-1], strict=True)]
    assert task({"test": swapped}).data_hash != task().data_hash
    assert task({"test": TEST[::-1]}).data_hash == task().data_hash
    assert task({"train": [clip("x", sha256="y")]}).data_hash == task().data_hash
    assert task(size=128).data_hash == task().data_hash


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "other"},
        {"pose_sha256": "other"},
        {"label": 1},
        {"frames": 99},
        {"height": 99},
        {"width": 99},
    ],
)
def test_clips_hash_changes_with_everything_of_a_test_clip_that_a_run_reads(change):
    changed = [replace(TEST[0], **change), TEST[1]]
    assert task({"test": changed}).clips_hash != task().clips_hash


def test_clips_hash_is_of_test_windows_and_nothing_else():
    assert task(window=WindowRule(2, 7)).clips_hash != task().clips_hash
    assert task(limit=1).clips_hash != task().clips_hash
    assert task({"test": TEST[::-1]}).clips_hash == task().clips_hash
    named = [replace(c, fps=3.0, note="x", group="g") for c in TEST]
    assert task({"test": named}).clips_hash == task().clips_hash
    assert task({"train": [clip("x", sha256="y")]}).clips_hash == task().clips_hash


def test_labels_of_training_clips_have_a_hash():
    clips = [clip("x", label=0), clip("y", label=1)]
    one, again, other = (
        task({"train": train, "test": TEST}).training_label_hash
        for train in (clips, clips[::-1], [clips[0], clip("y", label=0)])
    )
    assert one == again != other


def test_training_poses_have_a_hash_where_the_frames_do_not_cover_them():
    assert task().training_pose_hash == ""
    one, other = (
        task({"train": [replace(clip("x"), pose_sha256=sha)]}).training_pose_hash for sha in "ab"
    )
    assert "" != one != other != ""


def test_limit_takes_the_first_items_and_is_in_every_hash():
    full, cut = task(), task(limit=1)
    assert [i.id for i in cut.test] == ["test-a"] and len(cut.items["test"]) == 2
    assert len(task(limit=99).test) == 2
    assert cut.split_hash != full.split_hash and cut.data_hash != full.data_hash
    assert cut.fields()["limit"] == 1 and cut.fields() != full.fields()
    assert cut.fingerprint(6) != full.fingerprint(6)


FINGERPRINT = {
    "window": {"window": WindowRule(2, 6, 2)},
    "short": {"window": WindowRule(2, 6, short="loop")},
    "size": {"size": 128},
    "n": {"clips": {"test": TEST[:1]}},
    "data": {"clips": {"test": [replace(TEST[0], sha256="other"), TEST[1]]}},
    "source": {"clips": {"test": [replace(TEST[0], source="codec"), TEST[1]]}},
    "labels": {"clips": {"test": [clip("test-a", label=1), TEST[1]]}},
    "training split": {"clips": {"train": [clip("x")]}},
}


@pytest.mark.parametrize("what", FINGERPRINT)
def test_fingerprint_changes_with_all_that_moves_a_number(what):
    assert task(**FINGERPRINT[what]).fingerprint(6) != task().fingerprint(6)


def test_fingerprint_has_frames_and_geometry_and_else_stays():
    one = task()
    assert one.fingerprint(6) == task().fingerprint(6) != one.fingerprint(5)
    assert replace(one, geometry={"resize": "cubic"}).fingerprint(6) != one.fingerprint(6)
    for same in (
        task(joints=3),
        replace(one, rendered=True),
        replace(one, dataset="elsewhere"),
        task({"test": [replace(c, fps=9.0, note="n") for c in TEST]}),
    ):
        assert same.fingerprint(6) == one.fingerprint(6)
    assert one.fingerprint(6)["conditioning"] == "excluded"


def test_what_a_task_says_of_itself():
    one = task(joints=2)
    assert (one.horizon, one.frames, one.source) == (6, (6,), "lossless")
    assert one.has_label and one.has_pose
    assert task(window=WindowRule(1, 20)).frames == (16, 20)
    assert task(window=WindowRule(1, 16)).frames == (16,)
    assert not task(classes=0).has_label and not task().has_pose
    fields = one.fields()
    assert (fields["t0"], fields["n_max"], fields["horizon"], fields["n"]) == (1, 2, 6, 2)


def test_folder_task_ids_are_safe_and_stand_for_fields_and_clips():
    one = folder_task_id("folder-my clips", {"size": 64}, "x")
    assert one.startswith("folder-my_clips-") and len(one) == len("folder-my_clips-") + 8
    others = [
        folder_task_id("folder-my clips", {"size": 65}, "x"),
        folder_task_id("folder-my clips", {"size": 64}, "y"),
    ]
    assert len({one, *others}) == 3 and one == folder_task_id("folder-my clips", {"size": 64}, "x")
    assert "/" not in folder_task_id("../..", {}, "") and folder_task_id("..", {}, "")[0] == "c"


TRAINED = TaskSpec("base", WindowRule(5, 16), 64, native=True)
SHARES = replace(TRAINED, id="later", window=WindowRule(5, 16, start=3), trained_as="base")


def test_a_task_may_be_trained_as_one_that_differs_in_start_and_test_clips():
    assert training_task(TRAINED, (TRAINED, SHARES)) is None
    assert training_task(SHARES, (TRAINED, SHARES)) is TRAINED
    assert training_task(replace(SHARES, test="large"), (TRAINED,)) is TRAINED


@pytest.mark.parametrize(
    "changed",
    [
        {"window": WindowRule(4, 16)},
        {"window": WindowRule(5, 12)},
        {"window": WindowRule(5, 16, gap=2)},
        {"size": 96},
        {"native": False},
        {"resize": "nearest"},
    ],
)
def test_it_may_differ_in_nothing_else(changed):
    with pytest.raises(BadData, match="differs in more than its start and test clips"):
        training_task(replace(SHARES, **changed), (TRAINED,))


def test_it_may_not_be_trained_as_one_that_is_not_trained_itself_or_not_there():
    with pytest.raises(BadData, match="the task later is trained as 'base', which is not a task"):
        training_task(SHARES, (SHARES,))
    with pytest.raises(BadData, match="differs in more"):
        training_task(SHARES, (replace(TRAINED, trained_as="other"),))


def test_fields_of_stages_are_those_of_the_task_that_is_trained():
    own = replace(task(window=WindowRule(2, 6)), training=None)
    base = TaskSpec("base", WindowRule(2, 6), 64)
    later = replace(
        task(window=WindowRule(2, 6, start=3), name="later"),
        spec=TaskSpec("later", WindowRule(2, 6, start=3), 64, trained_as="base"),
        training=base,
    )
    assert own.stage_fields() == own.fields() and own.trained_as == own.id
    fields, stage = later.fields(), later.stage_fields()
    assert fields["trained_as"] == "base" and "trained_as" not in later.fields(trained=False)
    assert (stage["id"], stage["name"], stage["start"]) == ("base", "base", 0)
    changed = {k for k in fields if fields[k] != stage.get(k)}
    assert changed == {"id", "name", "start", "trained_as"}
    assert later.training_window == base.window and later.training_info.id == "base"


def test_groups_are_in_the_fingerprint_of_scores_and_in_nothing_else():
    def grouped(*names):
        clips = [replace(c, group=g) for c, g in zip(TEST, names, strict=True)]
        return task({"test": clips})

    alone, two, one = grouped("", ""), grouped("ann", "bob"), grouped("ann", "ann")
    assert alone.clusters_hash == "" and "clusters" not in alone.fingerprint(6)
    assert (
        len({t.clusters_hash for t in (two, one, grouped("", "bob"), grouped("eve", "bob"))}) == 4
    )
    for made in (two, one):
        assert made.fingerprint(6) == {**alone.fingerprint(6), "clusters": made.clusters_hash}
        assert (made.fields(), made.clips_hash) == (alone.fields(), alone.clips_hash)
