"""`vpbench weights`: what it prints, and its exit codes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from vpbench.api.errors import MissingWeights, VpbenchError
from vpbench.cli import weights as verb
from vpbench.core.paths import cache_folder
from vpbench.metrics.weights import convert, registry
from vpbench.metrics.weights.store import Origin, store

ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
CONTENT = convert.content_sha256(ARRAYS)


@pytest.fixture
def net(monkeypatch):
    """One more entry, of which the content is known."""
    base = registry.find("vgg19")
    entry = replace(base, name="net", label="Net", files=("net.pth",), content=CONTENT)
    entries = {**registry.known(), "net": entry}
    for module in (registry, verb):
        monkeypatch.setattr(module, "known", lambda: entries)
    return entry


def run(*words):
    """Exit code, standard output, standard error."""
    result = CliRunner().invoke(verb.weights, words, standalone_mode=False)
    if isinstance(result.exception, VpbenchError):
        return result.exception.exit_code, result.stdout, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout, result.stderr


@pytest.fixture
def here(net):
    return store(net, ARRAYS, Origin("a test", "0" * 64), cache_folder())


def test_the_list_names_everything(net):
    code, out, _ = run("list")
    assert code == 0
    for name in registry.known():
        assert f" {name} " in out
    assert "about 575 MB" in out
    assert "prefix-pinned" in out
    assert "not here" in out


def test_the_list_says_where(here):
    code, out, _ = run("list", "--json")
    listed = json.loads(out)
    assert code == 0
    assert listed["schema"] == "vpbench.weights-list/1"
    rows = {item["name"]: item for item in listed["items"]}
    assert rows["net"]["path"] == str(here)
    assert rows["net"]["recorded_sha256"] == "0" * 64
    assert rows["i3d"]["path"] is None
    assert rows["i3d"]["pinned"]
    assert rows["i3d"]["size"] == 47_158_331
    assert not rows["vgg19"]["pinned"]


def test_fetch_of_what_is_here(here):
    assert run("fetch", "net")[:2] == (0, f"net  {here}\n")
    code, out, _ = run("fetch", "net", "--json")
    item = json.loads(out)["items"][0]
    assert code == 0
    assert item["path"] == str(here)
    assert item["content"] == CONTENT


def test_fetch_offline_and_of_unknown_names(net):
    code, out, said = run("fetch", "i3d")
    assert (code, out) == (5, "")
    assert said == "I3D weights are not here (`vpbench weights fetch i3d`)"
    code, _, said = run("fetch", "i3d", "vgg91")
    assert code == 2
    assert "vgg19" in said


def test_verify(here):
    code, out, _ = run("verify")
    assert code == 0
    assert "net  ok" in out
    assert run("verify", "net")[0] == 0
    code, _, said = run("verify", "net", "i3d")
    assert code == 5
    assert "i3d: not here (`vpbench weights fetch i3d`)" in said


def test_verify_of_damage(here):
    data = bytearray(here.read_bytes())
    data[-1] ^= 1
    here.write_bytes(data)
    for words in ((), ("net",), ("net", "i3d")):
        code, _, said = run("verify", *words)
        assert code == 4
        assert "damaged" in said
    code, out, _ = run("verify", "--json")
    told = json.loads(out)
    assert code == 4
    assert told["schema"] == "vpbench.verify/1"
    assert told["ok"] is False
    assert told["problems"][0]["path"] == str(here)
    assert "vpbench weights fetch net" in told["problems"][0]["fix"]


def test_verify_of_nothing(net):
    assert run("verify")[0] == 0
    code, out, _ = run("verify", "i3d", "--json")
    assert code == 5
    assert json.loads(out)["problems"][0]["what"] == "not here"


def test_help_has_examples():
    for words in ((), ("list",), ("fetch",), ("verify",)):
        result = CliRunner().invoke(verb.weights, [*words, "--help"])
        assert result.exit_code == 0
        assert "Examples:" in result.output


def test_terms_are_shown_and_agreed_to_before_anything_is_downloaded(monkeypatch):
    monkeypatch.delenv("VPBENCH_OFFLINE", raising=False)
    asked = []

    def download(source, *_, **__):
        asked.append(source.url)
        raise MissingWeights(f"{source.url} does not answer")

    monkeypatch.setattr("vpbench.metrics.weights.fetch.from_https", download)
    code, _, err = run("fetch", "spynet-2")
    assert code == 5 and not asked
    assert "non-commercial research only" in err and "fetch spynet-2 --agree" in err
    code, _, err = run("fetch", "spynet-2", "--agree")
    assert code == 5 and "does not answer" in err
    assert len(asked) == 1 and asked[0].endswith("/models/modelL2_4.t7")
    items = json.loads(run("list", "--json")[1])["items"]
    assert {i["name"] for i in items if i["terms"]} == {f"spynet-{k}" for k in range(1, 6)}
