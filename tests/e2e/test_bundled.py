"""Checkpoints that come with a plugin or from a pinned address, through the command line."""

import functools
import http.server
import json
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.helpers import PLUGINS, folder, predictions, vpbench

SPECS = ("METHOD", "DETECTOR", "MOTION", "TRANSLATOR")


@pytest.fixture
def boxed(tmp_path):
    """The tiny method as an installed package `boxed`: spec and code in two modules."""
    package = tmp_path / "site" / "boxed"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shutil.copyfile(PLUGINS / "tiny_parts.py", package / "parts.py")
    text = (PLUGINS / "tiny_method.py").read_text().partition("def __getattr__")[0]
    (package / "spec.py").write_text(text.replace("{HERE}:", "boxed.parts:"))
    return package


@pytest.fixture
def env(boxed):
    plugins = ",".join(f"boxed.spec:{name}" for name in SPECS)
    return {
        "VPBENCH_PLUGINS": plugins,
        "PYTHONPATH": str(boxed.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def bundle(*words):
    return vpbench("bundle", *words, cwd=Path.cwd())


def name_checkpoints(boxed, *lines):
    """What an author does with the lines that `vpbench bundle` prints."""
    with (boxed / "spec.py").open("a") as stream:
        stream.write("from dataclasses import replace\nfrom vpbench.api import Checkpoint\n")
        stream.write(f"METHOD = replace(METHOD, checkpoints=(\n{''.join(lines)}))\n")


def trained(tmp_path, clips, env, *more):
    """Fit in a runs folder of the author's; the stage folders by name of the stage."""
    words = ("fit", "tiny", "--dataset", folder(clips), "--threads", 1, "--runs", "author")
    done = vpbench(*words, *more, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    stages = (tmp_path / "author").glob("*/stages/*")
    return {p.name.rpartition("-")[0].partition(".")[2]: p for p in stages}


def run(tmp_path, clips, env, *more, method="tiny"):
    return vpbench(
        "run",
        method,
        "--dataset",
        folder(clips),
        "--no-references",
        "--metrics",
        "ssim",
        *more,
        cwd=tmp_path,
        env=env,
    )


def row(tmp_path, env):
    compared = vpbench("compare", "tiny", "--no-references", "--json", cwd=tmp_path, env=env)
    (found,) = compared.json()["groups"][0]["rows"]
    return found


@pytest.mark.e2e
def test_a_bundled_method_is_fitted_by_nobody_and_its_table_says_so(clips, tmp_path, boxed, env):
    stages = trained(tmp_path, clips, env)
    lines = [bundle(stages[s], boxed) for s in ("keypoints", "motion")]
    assert [line.code for line in lines] == [0, 0], lines
    name_checkpoints(boxed, *(line.out for line in lines))
    shutil.copytree(tmp_path / "author", tmp_path / "elsewhere")
    done = run(tmp_path, clips, env)
    assert done.code == 0, done.err
    assert not list(tmp_path.glob("runs/*/stages/*")), "labels are of no use, and were made"
    found = row(tmp_path, env)
    seconds = sum(
        json.loads((stages[s] / "stage.json").read_text())["seconds"]
        for s in ("keypoints", "motion")
    )
    assert found["checkpoint"] == f"bundled ({seconds:.0f} s on cpu, 1 thread)"
    assert found["notes"] == []  # the spec was changed since, the code that trains was not
    mine = run(tmp_path, clips, env, "--runs", "author", "--offline")
    assert mine.code == 0, mine.err
    assert predictions(tmp_path / "author", "tiny") == predictions(tmp_path / "runs", "tiny")

    # a training clip is another now; a comment in the code that trains counts for nothing
    with (boxed / "parts.py").open("a") as stream:
        stream.write("\n# a later version\n")
    changed = next((clips / "train").rglob("*.npz"))
    frames = np.load(changed)["frames"]
    np.savez(changed, frames=255 - frames)
    done = run(tmp_path, clips, env)
    assert done.code == 0, done.err
    notes = row(tmp_path, env)["notes"]
    assert notes == [f"tiny:{stage} was fitted on other data" for stage in ("keypoints", "motion")]

    # one byte of it is wrong
    path = next(boxed.glob("checkpoints/tiny.keypoints-*/checkpoint/detector/tensors.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    broken = run(tmp_path, clips, env, "--runs", "third")
    assert broken.code == 4, broken.err
    assert f"{path} is not what was written" in broken.err


@pytest.mark.e2e
def test_what_nothing_needs_is_not_made(clips, tmp_path, boxed, env):
    done = run(tmp_path, clips, env, method="tiny[motion=frozen]")
    assert done.code == 0, done.err
    (stage,) = tmp_path.glob("runs/*/stages/*")
    assert stage.name.startswith("tiny.keypoints-")
    (record,) = tmp_path.glob("runs/*/tiny+motion-frozen/*/run.json")
    listed = {s["stage"]: s["origin"] for s in json.loads(record.read_text())["inputs"]["stages"]}
    assert listed == {"tiny:keypoints": "to fit", "tiny-detector:labels": "not needed"}
    planned = vpbench(
        "plan",
        "tiny[motion=frozen]",
        "tiny",
        "--dataset",
        folder(clips),
        "--no-references",
        "--json",
        cwd=tmp_path,
        env=env,
    )
    origins = [[s["origin"] for s in r["stages"]] for r in planned.json()["runs"]]
    assert origins == [["fitted", "not needed"], ["fitted", "to fit", "to fit"]]
    both = vpbench(
        "run",
        "tiny[motion=frozen]",
        "tiny",
        "--dataset",
        folder(clips),
        "--no-references",
        "--metrics",
        "ssim",
        cwd=tmp_path,
        env=env,
    )
    assert both.code == 0, both.err
    assert len(list(tmp_path.glob("runs/*/stages/*/stage.json"))) == 3
    assert "finished before, skipped" in both.err  # labels that came later change nothing


def test_what_is_of_no_use_is_refused(clips, tmp_path, boxed, env):
    stages = trained(tmp_path, clips, env)
    keypoints = stages["keypoints"]
    assert bundle(keypoints, boxed, "--limit-mb", "0.001").code == 2
    assert bundle(tmp_path, boxed).code == 5
    assert bundle(keypoints, tmp_path / "nowhere").code == 5
    assert bundle(keypoints).code == 2
    assert bundle(keypoints, "--zip", tmp_path / "x.zip").code == 2
    plain = bundle(keypoints, "--zip", tmp_path / "x.zip", "--url", "http://example.org/x.zip")
    assert plain.code == 2 and "https://" in plain.err and not (tmp_path / "x.zip").exists()
    assert not list((boxed / "checkpoints").iterdir())
    assert bundle(keypoints, boxed).code == 0
    (made,) = (boxed / "checkpoints").iterdir()
    assert made.name == keypoints.name
    assert {p.name for p in made.iterdir()} == {"checkpoint", "stage.json", "train.jsonl"}
    assert (keypoints / "pictures" / "last.png").is_file()
    record = json.loads((made / "stage.json").read_text())
    assert "host" not in record["machine"] and str(tmp_path) not in json.dumps(record)
    assert bundle(keypoints, boxed).code == 2
    told = bundle("add", keypoints, boxed, "--replace", "--json").json()
    assert told["schema"] == "vpbench.bundle/1" and told["path"] == str(made)
    assert told["source"] == f"checkpoints/{made.name}" and told["key"] in told["checkpoint"]
    weights = next(keypoints.rglob("tensors.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    broken = bundle(keypoints, boxed, "--replace")
    assert broken.code == 4 and str(weights) in broken.err
    assert (made / "stage.json").is_file()


# an address --------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """An https server on this machine with a certificate of its own: (address, folder, asked)."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate and is not here")
    pem = tmp_path / "server.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            pem,
            "-out",
            tmp_path / "certificate.pem",
        ],
        check=True,
        capture_output=True,
    )
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            asked.append(self.path)

    home = tmp_path / "www"
    home.mkdir()
    serve = functools.partial(Handler, directory=str(home))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as found:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "certificate.pem", pem)
        found.socket = context.wrap_socket(found.socket, server_side=True)
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{found.server_port}", home, asked
        found.shutdown()


@pytest.mark.e2e
def test_checkpoints_are_fetched_from_their_address_once(clips, tmp_path, boxed, env, server):
    address, home, asked = server
    stages = trained(tmp_path, clips, env)
    lines = []
    for stage in ("keypoints", "motion"):
        words = ("--zip", home / f"{stage}.zip", "--url", f"{address}/{stage}.zip")
        lines.append(bundle(stages[stage], *words))
        first = (home / f"{stage}.zip").read_bytes()
        bundle(stages[stage], *words)
        assert (home / f"{stage}.zip").read_bytes() == first
    name_checkpoints(boxed, *(line.out for line in lines))
    env |= {
        "SSL_CERT_FILE": str(tmp_path / "certificate.pem"),
        "VPBENCH_OFFLINE": "0",
        "VPBENCH_HOME": str(tmp_path / "home"),
    }

    offline = run(tmp_path, clips, env, "--offline")
    assert offline.code == 5 and not asked
    assert (
        f"the checkpoint of tiny:keypoints has not been downloaded, and there is no network to "
        f"fetch it from {address}/keypoints.zip. Run once without --offline" in offline.err
    )

    done = run(tmp_path, clips, env)
    assert done.code == 0, done.err
    assert asked == ["/keypoints.zip", "/motion.zip"]
    assert not list(tmp_path.glob("runs/*/stages/*"))
    assert row(tmp_path, env)["checkpoint"].startswith("downloaded (")
    mine = run(tmp_path, clips, env, "--runs", "author", "--offline")
    assert predictions(tmp_path / "author", "tiny") == predictions(tmp_path / "runs", "tiny")
    assert mine.code == 0

    again = run(tmp_path, clips, env, "--offline", "--runs", "again")
    assert again.code == 0 and len(asked) == 2
    left = {p.name[:9] for p in (tmp_path / "home" / "checkpoints").iterdir()}
    assert len(left) == 2 and not any(name.startswith(".") for name in left)

    shutil.rmtree(tmp_path / "home" / "checkpoints")
    (home / "motion.zip").write_bytes(b"PK\x03\x04 something else")
    wrong = run(tmp_path, clips, env, "--runs", "wrong")
    assert wrong.code == 4 and "motion.zip is not the pinned file" in wrong.err
    (home / "motion.zip").unlink()
    gone = run(tmp_path, clips, env, "--runs", "gone")
    assert gone.code == 5 and "could not be fetched" in gone.err and "--fit" in gone.err
