"""Files that a plugin reads although nobody handed them to it are part of what it predicts."""

import json
import os

import numpy as np
import pytest

from tests.e2e.identity import flip, method, nothing_done

pytestmark = pytest.mark.e2e

LEVEL = "self.level"

READERS = {
    "np.load": ("np.load(FILE)", "level.npy"),
    "open": ("np.frombuffer(open(FILE, 'rb').read()[-8:])[0]", "level.bin"),
    "torch.load": ("__import__('torch').load(FILE, weights_only=True)", "level.pt"),
    "safetensors": (
        "__import__('safetensors.numpy').numpy.load_file(FILE)['level'][0]",
        "level.safetensors",
    ),
    "cv2": ("__import__('cv2').imread(FILE)[0, 0, 0]", "level.png"),
    "PyAV": ("next(__import__('av').open(FILE).decode(video=0)).to_ndarray().flat[0]", "level.gif"),
}


def train(path, level):
    """Write the plugin's weights: one grey level, in a file of equal size."""
    if path.suffix == ".npy":
        np.save(path, np.float64(level))
    elif path.suffix == ".bin":
        path.write_bytes(np.float64(level).tobytes())
    elif path.suffix == ".pt":
        import torch

        torch.save(torch.tensor(float(level)), path)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"level": np.array([level], np.float64)}, path)
    else:
        from PIL import Image

        Image.fromarray(np.full((4, 4), level, np.uint8)).save(path)


def reading(reader, where):
    """A plugin whose grey level is what it reads with `reader` from FILE."""
    return method(LEVEL, top=f"FILE = {str(where)!r}", init=f"{LEVEL} = float({reader})")


@pytest.mark.parametrize("name", READERS)
def test_weights_beside_a_plugin_that_are_trained_again(place, name):
    reader, file = READERS[name]
    weights = place.path / "plugin" / file
    place.write(reading(reader, weights))
    train(weights, 100)
    place.run()
    assert place.grey() == 100 and nothing_done(place.run())
    train(weights, 180)
    assert f"{file} changed since: `vpbench run ./plugin/mine.py:SPEC" in place.row()["notes"][0]
    done = place.run()
    assert f"{file} changed: predicted and scored again" in done.err
    assert place.grey() == 180 and len(place.retired()) == 1 and place.row()["notes"] == []


@pytest.mark.parametrize("name", ["np.load", "open", "torch.load"])
def test_weights_elsewhere_that_python_code_opens(place, name):
    reader, file = READERS[name]
    weights = place.path / "models" / file
    weights.parent.mkdir()
    os.utime(place.path)
    place.write(reading(reader, weights))
    train(weights, 100)
    os.utime(weights, (1, 1))  # older than the process that reads it
    place.run()
    assert nothing_done(place.run())
    train(weights, 180)
    os.utime(weights, (1, 1))  # with the size and the time that it had
    done = place.run()
    assert f"{file} changed: predicted and scored again" in done.err and place.grey() == 180


def test_weights_elsewhere_that_are_read_on_import(place):
    weights = place.path / "models" / "level.npy"
    weights.parent.mkdir()
    train(weights, 100)
    os.utime(weights, (1, 1))
    place.write(method("WEIGHTS", top=f"WEIGHTS = np.load({str(weights)!r})")).run()
    (row,) = json.loads((place.folder() / "predictions" / "MANIFEST.json").read_text())["inputs"]
    assert row["path"] == str(weights) and row["how"] == "opened"
    train(weights, 180)
    assert "level.npy changed: predicted and scored again" in place.run().err


def test_a_native_reader_elsewhere_is_covered_by_a_declaration_only(place):
    """What docs/identity.md promises, and what it does not."""
    reader, file = READERS["safetensors"]
    weights = place.path / "models" / file
    weights.parent.mkdir()
    place.write(reading(reader, weights))
    train(weights, 100)
    place.run()
    train(weights, 180)
    assert nothing_done(place.run()) and place.grey() == 100
    place.run("--again")
    assert place.grey() == 180
    declared = f", files=({f'../models/{file}'!r},)"
    top, init = f"FILE = {str(weights)!r}", f"{LEVEL} = float({reader})"
    place.write(method(LEVEL, top=top, init=init, more=declared))
    place.run()
    first = place.folders()
    train(weights, 60)
    place.run()
    (new,) = set(place.folders()) - set(first)
    assert np.load(new / "predictions" / "00000.npz")["frames"].max() == 60


def test_a_declared_file_is_part_of_the_run_id(place):
    weights = place.path / "plugin" / "level.npy"
    source = reading("np.load(FILE)", weights).replace(
        '"one grey level"', '"one grey level", files=("level.npy",)'
    )
    place.write(source)
    train(weights, 100)
    place.run()
    (first,) = place.folders()
    train(weights, 180)
    done = place.run()
    assert "finished before" not in done.err and len(place.folders()) == 2 and not place.retired()
    train(weights, 100)
    assert nothing_done(place.run())  # the first run is there yet
    weights.unlink()
    gone = place.run(code=5)
    assert "the data file" in gone.err and "level.npy" in gone.err and first.is_dir()


def test_data_that_appears_beside_a_plugin(place):
    """A plugin that lists its folder predicts otherwise once a file is there."""
    top = "import pathlib\nHERE = pathlib.Path(__file__).parent"
    place.write(method("100 + 80 * len(list(HERE.glob('*.csv')))", top=top)).run()
    assert place.grey() == 100
    (place.path / "plugin" / "more.csv").write_text("a\n")
    assert "more.csv changed: predicted and scored again" in place.run().err
    assert place.grey() == 180


def test_words_beside_a_plugin_and_its_caches_count_for_nothing(place):
    place.write(method("100")).run()
    folder = place.path / "plugin"
    (folder / "README.md").write_text("words\n")
    (folder / ".hidden").write_text("x")
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__" / "x.bin").write_text("x")
    assert nothing_done(place.run())


def test_one_bit_of_a_weights_file_is_enough(place):
    weights = place.path / "plugin" / "level.npy"
    place.write(reading("np.load(FILE)", weights))
    train(weights, 100)
    place.run()
    flip(weights, weights.stat().st_size - 2)
    assert "level.npy changed: predicted and scored again" in place.run().err


def test_the_environment_is_not_seen(place):
    """Said in docs/identity.md: what a plugin reads from the environment is for `--again`."""
    place.env = {"GREY": "100"}
    place.write(method("os.environ['GREY']", top="import os")).run()
    place.env = {"GREY": "180"}
    assert nothing_done(place.run()) and place.grey() == 100
    done = place.run("--again")
    assert "requested with --again: predicted and scored again" in done.err
    assert place.grey() == 180 and len(place.retired()) == 1


METRIC = """
import numpy as np
from pathlib import Path
from vpbench.api import MetricSpec, Score
METRIC = MetricSpec("tone", ":Tone", "weighted difference of the means", "clip", "down", "", 1)
class Tone:
    spec = METRIC
    def __init__(self, task, params, ctx):
        self.rows = {{}}
        self.weight = {read}
    def fingerprint(self):
        return {fingerprint}
    def update(self, fake, real, clip):
        self.rows[clip.id] = self.weight * float(abs(fake.mean() - real.mean()))
    def merge(self, other):
        self.rows |= other.rows
    def result(self):
        values = list(self.rows.values())
        return Score(value=float(np.mean(values)), n=len(values), per_clip=self.rows)
"""


@pytest.mark.parametrize(
    ("reader", "fingerprint"),
    [("np.load", "{}"), ("np.load", "{'weight': self.weight}"), ("safetensors", "{}")],
)
def test_data_of_a_plugin_s_metric(place, reader, fingerprint):
    """Its weights are read by Python elsewhere, or past it beside the plugin."""
    read, file = READERS[reader]
    folder = place.path / ("metrics" if reader == "safetensors" else "models")
    folder.mkdir()
    source = place.path / "metrics" / "tone.py"
    source.parent.mkdir(exist_ok=True)
    read = f"float({read.replace('FILE', repr(str(folder / file)))})"
    source.write_text(METRIC.format(read=read, fingerprint=fingerprint))
    train(folder / file, 1)
    os.utime(folder / file, (1, 1))  # older than the process that reads it
    place.env = {"VPBENCH_PLUGINS": str(source)}
    place.write(method("100")).run(metrics="psnr,tone")
    before = place.row()
    assert before["notes"] == [] and nothing_done(place.run(metrics="psnr,tone"))
    train(folder / file, 7)
    os.utime(folder / file, (1, 1))
    assert f"{file} changed since: `vpbench run ./plugin/mine.py:SPEC" in place.row()["notes"][0]
    assert f"{file} changed; tone differ and are scored again" in place.run(metrics="psnr,tone").err
    after = place.row()
    assert after["notes"] == [] and not place.retired()
    value = before["scores"]["tone"]["value"]
    assert after["scores"]["tone"]["value"] == pytest.approx(7 * value)
    assert after["scores"]["psnr"] == before["scores"]["psnr"]
    assert nothing_done(place.run(metrics="psnr,tone"))


TRAINED = """
    def fit(self, stage, data, ctx):
        self.level = float(open(FILE).read())
    def save(self, stage, folder):
        (Path(folder) / "level.txt").write_text(str(self.level))
    def load(self, stage, folder, device):
        self.level = float((Path(folder) / "level.txt").read_text())
"""


@pytest.mark.parametrize("where", ["plugin", "elsewhere"])
def test_a_file_that_a_training_reads(place, where):
    """It is trained again, not only predicted; the file of a prediction trains nothing again."""
    file, table = place.path / where / "pretrained.txt", place.path / where / "table.txt"
    file.parent.mkdir()
    top = f"from pathlib import Path\nfrom vpbench.api import StageSpec\nFILE = {str(file)!r}"
    more = ', capabilities=Capabilities(trainable=True), stages=(StageSpec("all"),)'
    predict = f"open({str(table)!r}).read()"
    place.write(method(LEVEL, top=top, more=more, predict=predict) + TRAINED)

    def write(path, text):
        path.write_text(text)
        os.utime(path, (1, 1))

    write(file, "100")
    write(table, "1")
    assert "trained again" not in place.run("--yes").err
    assert place.grey() == 100 and nothing_done(place.run())
    write(file, "180")
    note = place.row()["notes"][0]
    assert "pretrained.txt changed since: `vpbench run ./plugin/mine.py:SPEC" in note
    done = place.run("--yes").err
    assert "mine: pretrained.txt changed: mine:all is trained again" in done
    assert "mine: its stages were trained again: predicted and scored again" in done
    assert place.grey() == 180
    write(table, "2")
    done = place.run("--yes").err
    assert "table.txt changed: predicted and scored again" in done and "trained" not in done
