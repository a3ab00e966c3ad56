"""What the parent fetches before jobs start, and what of a zip it refuses."""

import os
import stat
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from vpbench.api import ComponentSpec, Corrupt, MethodSpec, MissingWeights, UsageError
from vpbench.core.paths import Paths
from vpbench.core.plan import StagePlan
from vpbench.core.rundir import StageDir
from vpbench.harness.inputs.fetch import fetch_for_run, weights_to_fit
from vpbench.kit import EFFICIENTNET_LITE0, VGG16_HED
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights.archive import unpack

KNOWN = {w.name: w for w in (EFFICIENTNET_LITE0, VGG16_HED, I3D)}


def weight(name, **when):
    return KNOWN[name].needed_when(**when)


def names(node):
    return [w.name for w in weights_to_fit(node)]


def part(slot, *weights, **params):
    spec = ComponentSpec(f"toy-{slot}", slot, "t:T", "", weights=weights)
    return SimpleNamespace(spec=spec, params=params)


def node(trains=("translator",), mode="method", weights=(), own="lite"):
    slots = {
        "detector": part("detector"),
        "translator": part(
            "translator",
            weight("vgg16-hed", loss="vgg"),
            weight("efficientnet-lite0", loss="lite"),
            loss=own,
        ),
        "motion": part("motion", weight("i3d"), steps=3),
    }
    method = SimpleNamespace(
        spec=MethodSpec("toy", "t:T", "", weights=weights),
        slots=slots,
        params={"loss": "none", "wide": True},
    )
    return SimpleNamespace(method=method, trains=trains, mode=mode, label="toy:keypoints")


def test_weights_are_those_of_what_is_trained_with_the_chosen_parameters():
    assert names(node()) == ["efficientnet-lite0"]
    assert names(node(own="vgg")) == ["vgg16-hed"]
    assert names(node(own="pixels")) == []
    assert names(node(("detector",))) == []
    assert names(node(("motion", "translator"))) == ["i3d", "efficientnet-lite0"]
    assert names(node(("motion",), "component")) == ["i3d"]
    assert names(node((), "labels")) == []


def test_weights_of_the_method_count_for_each_of_its_stages():
    own = (weight("i3d", wide=True, loss="none"), weight("vgg16-hed", wide=False))
    assert names(node(("detector",), weights=own)) == ["i3d"]
    assert names(node(("motion",), weights=own)) == ["i3d"]
    assert names(node(("motion",), "component", weights=own)) == ["i3d"]  # the motion's
    assert names(node(("detector",), "component", weights=own)) == []


def test_a_condition_on_no_parameter_is_an_error():
    with pytest.raises(UsageError, match="i3d of toy depend on 'deep'"):
        weights_to_fit(node(weights=(weight("i3d", deep=1),)))


def test_weights_are_asked_for_only_where_something_is_to_be_fitted(tmp_path):
    paths = Paths(tmp_path / "runs", tmp_path / "home", True)
    said = []

    def run(origin, folder):
        stage = StagePlan(node(), origin, StageDir(folder))
        return SimpleNamespace(stages=(stage,))

    for origin in ("fitted", "bundled", "given", "not needed"):
        fetch_for_run(run(origin, tmp_path), paths, said.append)
    done = tmp_path / "done"
    done.mkdir()
    (done / "stage.json").write_text("{}")
    fetch_for_run(run("to fit", done), paths, said.append)
    for folder, refit in ((tmp_path, False), (done, True)):
        with pytest.raises(MissingWeights) as caught:
            fetch_for_run(run("to fit", folder), paths, said.append, refit=refit)
        assert str(caught.value).startswith(
            "toy:keypoints cannot be fitted: EfficientNet-Lite0 weights are not here"
        )
        assert "vpbench weights fetch efficientnet-lite0" in str(caught.value)
    assert said == []


# archives ----------------------------------------------------------------------------------------


def packed(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def test_all_files_of_a_zip_come_out_as_they_are(tmp_path):
    files = {"stage.json": b"{}", "checkpoint/net/tensors.bin": os.urandom(100_000), "empty": b""}
    path = packed(tmp_path / "a.zip", **files)
    unpack(path, tmp_path / "out")
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
        for p in (tmp_path / "out").rglob("*")
        if p.is_file()
    }
    assert found == files


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/own", "absolute"),
        ("../out", "points outside"),
        ("a/../../b", "points outside"),
        ("C:/x", "absolute or foreign"),
        ("a\\..\\b", "foreign"),
        (link("l"), "link or a device"),
        ("ok", "occurs twice"),
    ],
)
def test_members_that_have_no_place_are_refused_before_anything_is_written(tmp_path, name, said):
    path = packed(tmp_path / "a.zip", ok=b"1")
    with zipfile.ZipFile(path, "a") as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that is there twice
        out.writestr(name, b"/etc/passwd")
    with pytest.raises(Corrupt, match=said):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_that_would_fill_the_disk_is_refused(tmp_path):
    path = packed(tmp_path / "bomb.zip", a=bytes(5_000_000))
    assert path.stat().st_size < 10_000
    with pytest.raises(Corrupt, match="too large members"):
        unpack(path, tmp_path / "out", 1_000_000)
    assert not (tmp_path / "out").exists()


def test_a_lying_size_ends_at_that_size(tmp_path):
    """The directory says 10 bytes, the stream holds five million."""
    path = packed(tmp_path / "liar.zip", a=bytes(5_000_000))
    data = path.read_bytes()
    lie = data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != data
    path.write_bytes(lie)
    with pytest.raises(Corrupt, match="not a complete archive"):
        unpack(path, tmp_path / "out")
    assert sum(p.stat().st_size for p in Path(tmp_path / "out").rglob("*") if p.is_file()) <= 10


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_what_is_no_zip_is_corrupt(tmp_path, cut):
    path = packed(tmp_path / "a.zip", a=b"x" * 100)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Corrupt, match="not a complete archive"):
        unpack(path, tmp_path / "out")
