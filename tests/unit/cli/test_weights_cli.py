"""`vpbench weights`: what it prints, and its exit codes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from vpbench.api import HttpsSource, MetricSpec
from vpbench.api.errors import MissingWeights, UsageError, VpbenchError
from vpbench.cli import weights as verb
from vpbench.core.discovery import PluginRef
from vpbench.core.paths import cache_folder
from vpbench.core.registry import Entry, Registry, build
from vpbench.kit import VGG19
from vpbench.metrics.weights import convert
from vpbench.metrics.weights.known import find_known, known_weights
from vpbench.metrics.weights.weight_cache import Origin, store
from vpbench.metrics.weights.weight_file import weight_file

ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
CONTENT = convert.content_sha256(ARRAYS)


NET = replace(
    VGG19,
    name="net",
    label="Net",
    sources=(HttpsSource("https://example.org/vgg19-dcbb9e9d.pth", limit=575_000_000),),
    sha256="dcbb9e9d",
    files=("net.pth",),
    content=CONTENT,
)
"""A file of which 8 digits and about the size are published."""
TOY = MetricSpec("toy", "toy:Toy", "a toy", "clip", "up", "", 1, weights=(NET,))


@pytest.fixture
def net(monkeypatch):
    """One more plugin, with a file of which the content is known."""
    toy = Entry("toy", "metric", PluginRef("toy", "metric", "toy:TOY", "env"), spec=TOY)
    more = Registry([*build().entries, toy])
    monkeypatch.setattr("vpbench.core.registry.registry", lambda: more)
    return weight_file(NET)


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


def test_the_list_names_what_plugins_use_and_by_whom(net):
    code, out, _ = run("list")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for name in ("i3d", "vgg19", "raft-small", "spynet-5", "net", "alexnet", "inception-fid"):
        assert f" {name} " in out
    for name in ("lpips-alex", "squeezenet"):
        assert f" {name}" not in out  # nothing uses them
    assert "about 575 MB" in out and "toy (toy:TOY)" in out.replace("\n", " ")
    lines = out.splitlines()
    (place,) = (k for k, line in enumerate(lines) if line.startswith(" i3d "))
    assert lines[place + 1].split() == ["used", "by", "action,", "fvd,", "kvd"]
    assert "\n  net, spynet-1," in out and "spynet-5\n" in out  # 8 digits of them are published
    assert out.endswith("VPBENCH_WEIGHTS:\n  vjepa-vith16, vjepa-vith16-ssv2\n")
    assert "about 10.4 GB" in out and "size unknown" in out


def test_every_plugin_that_needs_a_file_is_named_with_the_parameters(net):
    items = {i["name"]: i for i in json.loads(run("list", "--json")[1])["items"]}
    assert [o["name"] for o in items["i3d"]["owners"]] == ["action", "fvd", "kvd"]
    assert items["net"]["owners"] == [
        {"kind": "metric", "name": "toy", "source": "toy:TOY", "when": {}}
    ]
    assert {"kind": "method", "name": "li", "when": {"teacher": "raft-small"}}.items() <= items[
        "raft-small"
    ]["owners"][0].items()


def entry(name, *weights, source="env"):
    spec = MetricSpec(name, "x:X", "a toy", "clip", "up", "", 1, weights=weights)
    return Entry(name, "metric", PluginRef(name, "metric", f"{name}:M", source), spec=spec)


def test_a_file_that_two_plugins_declare_is_one_and_ours_counts():
    ours, theirs = replace(NET, note="ours"), replace(NET, note="theirs", when={"big": True})
    found, problems = known_weights(
        Registry([entry("a", theirs), entry("b", ours, source="builtin")])
    )
    (row,) = found
    assert not problems and row.file.note == "ours"
    assert [(o.name, dict(o.when)) for o in row.owners] == [("b", {}), ("a", {"big": True})]


def test_one_name_for_two_files_is_chosen_by_the_plugin():
    both = Registry([entry("a", NET), entry("b", replace(NET, sha256="12345678"))])
    with pytest.raises(UsageError, match=r"b and a mean different files.*Write b:net") as caught:
        find_known("net", both)
    assert caught.value.exit_code == 2
    assert find_known("b:net", both).file.sha256 == "12345678"


def test_a_declaration_that_cannot_be_used_takes_nothing_else_away(monkeypatch):
    some = Registry([entry("bad", replace(NET, sources=("x",))), entry("good", NET)])
    monkeypatch.setattr("vpbench.core.registry.registry", lambda: some)
    code, out, err = run("list")
    assert code == 0 and " net " in out
    assert "warning: the metric 'bad' (bad:M): the weights 'net': the source 'x'" in err


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
    assert rows["vgg19"]["pinned"] and not rows["net"]["pinned"]


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
    spynet = {f"spynet-{k}" for k in range(1, 6)}
    assert {i["name"] for i in items if i["terms"]} == {"videomae-v2-g", *spynet}
