"""Which wrong labels a clip gets, and that predictions under them are read back or refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vpbench.api.errors import HashMismatch
from vpbench.api.types import ClipInfo
from vpbench.core.files import write_bytes
from vpbench.core.hashing import file_sha256
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.core.schema import MANIFEST, RUN_RECORD, WRONG_LABELS
from vpbench.core.tasks import Item
from vpbench.harness.prediction import wrong_labels as wl
from vpbench.harness.prediction.shards import pack


def item(k, label, classes=5):
    return Item(f"c{k}", ClipInfo(f"c{k}", 9, 8, 8, label % classes), (0,), (1, 2))


@pytest.mark.parametrize("count", [1, 3, 4])
def test_never_the_own_label_and_more_labels_hold_fewer(count):
    for k in range(40):
        chosen = wl.wrong_labels(item(k, k), 5, count)
        assert len(chosen) == count == len(set(chosen)) and k % 5 not in chosen
        assert set(wl.wrong_labels(item(k, k), 5, 1)) <= set(chosen)
        assert chosen == wl.wrong_labels(item(k, k), 5, count)


def test_every_wrong_label_is_about_as_frequent():
    drawn = Counter(wl.wrong_labels(item(k, 0), 5, 1)[0] for k in range(2000))
    assert set(drawn) == {1, 2, 3, 4}
    assert max(abs(n - 500) for n in drawn.values()) < 80  # four standard deviations


class Task:
    """What the functions ask of a task."""

    class info:
        n_classes = 5

    test = tuple(item(k, k) for k in range(19))


def test_parts_are_every_clip_under_its_labels_once():
    for count in (1, 2, 4):
        seen = Counter((i.id, p.label) for p in wl.parts(Task, count) for i in p.items)
        assert set(seen.values()) == {1}
        assert seen.keys() == {(i.id, k) for i in Task.test for k in wl.wrong_labels(i, 5, count)}
    paths = {p.path(RunDir(Path("x"))) for n in (1, 2, 4) for p in wl.parts(Task, n)}
    clips = {(p.label, tuple(i.id for i in p.items)) for n in (1, 2, 4) for p in wl.parts(Task, n)}
    assert len(paths) == len(clips)  # other clips are another file


def stored(tmp_path):
    """A finished run with predictions whose pixels are clip and label."""
    key = "ab" * 32
    folder = RunDir(tmp_path / "t" / "mine" / key[:8])
    inputs = {"task": {"id": "t"}, "method": "mine"}
    write_sealed(folder.record, {"schema": RUN_RECORD, "key": key, "inputs": inputs})
    write_sealed(folder.manifest, {"schema": MANIFEST, "run": key, "shards": []})
    for part in wl.parts(Task, 2):
        pixels = [[int(i.id[1:]), part.label, 0] for i in part.items]
        frames = (
            np.zeros((len(pixels), 1, 2, 4, 4, 3), np.uint8)
            + np.array(pixels, np.uint8)[:, None, None, None, None]
        )
        path = part.path(folder)
        write_bytes(path, pack(frames))
        fields = {
            "schema": WRONG_LABELS,
            "run": key,
            "manifest": folder.read_manifest()["sha256"],
            "array": file_sha256(path),
        }
        write_sealed(path.with_suffix(".json"), fields)
    return folder


def test_predictions_are_read_with_their_clip_and_label(tmp_path):
    rows = list(wl.read_wrong_labels(stored(tmp_path), Task, 2))
    assert len(rows) == 2 * len(Task.test)
    for one, label, frames in rows:
        assert frames.shape == (1, 2, 4, 4, 3)
        assert frames[0, 0, 0, 0].tolist() == [int(one.id[1:]), label, 0]


@pytest.mark.parametrize("what", ["array", "record", "manifest"])
def test_changed_predictions_are_refused(tmp_path, what):
    folder = stored(tmp_path)
    path = wl.parts(Task, 2)[3].path(folder)
    if what == "manifest":  # predicted anew since
        other = {"schema": MANIFEST, "run": "ab" * 32, "shards": [1]}
        write_sealed(folder.manifest, other)
    else:
        file = path if what == "array" else path.with_suffix(".json")
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with pytest.raises(HashMismatch, match="not what was written"):
        list(wl.read_wrong_labels(folder, Task, 2))


def test_a_relabelled_clip_is_the_same_but_for_its_label():
    one = item(3, 3)
    made = wl._relabelled(one, 4)
    assert made == replace(one, clip=replace(one.clip, label=4)) and one.clip.label == 3
