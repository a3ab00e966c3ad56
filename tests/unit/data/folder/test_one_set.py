"""A folder as one set of clips: what `vpbench measure` makes of it."""

import numpy as np
import pytest

from vpbench.api.errors import BadData, MissingData
from vpbench.data.folder.dataset import FolderDataset


@pytest.fixture
def root(tmp_path):
    """Clips at three depths, in folders that are named like splits and classes, and captions."""
    for k, name in enumerate(("a", "train/b", "test/squats/c", "test/golf/d")):
        path = tmp_path / "clips" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, frames=np.full((3, 8, 8, 3), k, np.uint8))
        path.with_suffix(".txt").write_text("a caption")
    (tmp_path / "clips" / "notes").mkdir()
    (tmp_path / "clips" / "notes" / "sound.WAV").write_bytes(b"RIFF")
    return tmp_path / "clips"


def opened(root, one_set=True, **options):
    return FolderDataset({"path": str(root), **options}, None, root.parent / "c", one_set=one_set)


def test_all_clips_are_one_set_without_classes(root):
    dataset = opened(root)
    assert dataset.splits() == ("test",) and dataset.class_names() == ()
    assert [c.id for c in dataset.clips("test")] == ["a", "test/golf/d", "test/squats/c", "train/b"]
    assert {c.label for c in dataset.clips("test")} == {None}
    assert dataset.passed_over == {".txt": 4, ".wav": 1}
    again = opened(root)  # from the index in the cache
    assert list(again.clips("test")) == list(dataset.clips("test"))
    assert again.passed_over == dataset.passed_over


def test_folders_are_classes_where_that_is_asked_for(root):
    with pytest.raises(BadData, match="'a' is not in a class folder"):
        opened(root, label="folders").clips("test")
    (root / "a.npz").unlink()
    dataset = opened(root, label="folders")
    assert dataset.class_names() == ("test", "train")
    assert [c.label for c in dataset.clips("test")] == [0, 0, 1]


def test_a_dataset_to_train_on_is_as_strict_as_before(root):
    with pytest.raises(BadData, match="is of a type"):
        opened(root, one_set=False).splits()


def test_only_sidecars_are_no_clips(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.json").write_text("{}")
    with pytest.raises(MissingData, match="holds no clips"):
        opened(tmp_path / "x").splits()
