"""The I3D proof, with random weights in every official format, and with the real ones."""

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
from test_weights_tf_bundle import write_bundle
from weights_here import i3d_path

from vpbench.api.errors import Corrupt
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights import convert, i3d
from vpbench.metrics.weights.tf_bundle import masked_crc32c
from vpbench.metrics.weights.weight_file import weight_file

ROOT = "RGB/inception_i3d/"
REAL_TABLE = i3d.table()


@pytest.fixture(scope="module")
def fake():
    """Random arrays of the real names, with small shapes; and the table that fits them."""
    rng = np.random.default_rng(3)
    arrays, rows = {}, []
    for row in REAL_TABLE:
        shape = tuple(min(n, 6) for n in row.shape)
        arrays[row.name] = rng.standard_normal(shape).astype(np.float32)
        crc = masked_crc32c(arrays[row.name].tobytes())
        rows.append(replace(row, shape=shape, crc=crc))
    return arrays, tuple(rows)


@pytest.fixture
def fake_table(fake, monkeypatch):
    """The checks believe that the random arrays are the network."""
    arrays, rows = fake
    monkeypatch.setattr(i3d, "table", lambda: rows)
    return arrays


@pytest.fixture
def entry():
    return replace(weight_file(I3D), content="")


def flax_tree(arrays):
    """The nesting of the flax checkpoint: slashes inside keys of the mixed blocks."""
    tree = {"params": {}, "batch_stats": {}}
    leaves = {
        "conv_3d/w": ("params", "Conv_0", "kernel"),
        "conv_3d/b": ("params", "Conv_0", "bias"),
        "batch_norm/beta": ("params", "BatchNorm_0", "bias"),
        "batch_norm/moving_mean": ("batch_stats", "BatchNorm_0", "mean"),
        "batch_norm/moving_variance": ("batch_stats", "BatchNorm_0", "var"),
    }
    for name, array in arrays.items():
        unit, leaf = name.removeprefix(ROOT).rsplit("/", 2)[0], "/".join(name.split("/")[-2:])
        unit = unit.replace("Mixed_5b/Branch_2/Conv3d_0a_3x3", "Mixed_5b/Branch_2/Conv3d_0b_3x3")
        part, module, word = leaves[leaf]
        block, _, rest = unit.partition("/")
        node = tree[part].setdefault(block, {})
        node = node.setdefault(rest, {}) if rest else node
        flat = word == "bias"
        node.setdefault(module, {})[word] = array.reshape(-1) if flat else array
    return tree


def torch_state(arrays):
    state = {}
    for row in i3d.table():
        array = arrays[row.name]
        key = row.torch_key
        state[key] = (
            array.transpose(4, 3, 0, 1, 2) if key.endswith("conv3d.weight") else (array.reshape(-1))
        )
        if key.endswith("bn.bias"):
            state[key.replace("bias", "weight")] = np.ones(array.size, np.float32)
            state[key.replace("bias", "num_batches_tracked")] = np.array(5)
    return state


def test_the_table_is_the_network():
    assert len(REAL_TABLE) == 230
    assert sum(int(np.prod(row.shape)) for row in REAL_TABLE) == 12_704_544
    assert not any(row.crc == row.crc_imagenet for row in REAL_TABLE)
    assert len({row.torch_key for row in REAL_TABLE}) == 230
    keys = {row.torch_key: row.shape for row in REAL_TABLE}
    for key in [k for k in keys if k.endswith("bn.bias")]:
        keys[key.replace("bias", "weight")] = keys[key]
    lines = []
    for key, shape in sorted(keys.items()):
        kernel = key.endswith("conv3d.weight")
        size = (shape[4], shape[3], *shape[:3]) if kernel else (shape[-1],)
        lines.append(f"{key} {size}\n")
    assert len(lines) == 287
    manifest = hashlib.sha256("".join(lines).encode()).hexdigest()  # of the usual PyTorch port
    assert manifest == "08ed2eb7b300bcad9cf0f2264037634d4f897ba0d036b365c5de14802598fdd2"


def test_right_arrays_pass(fake_table):
    i3d.check_i3d(fake_table)


def test_flax_pickle(fake_table, entry):
    data = pickle.dumps(flax_tree(fake_table), 4)
    arrays = convert.convert(entry, data, "flax-pickle", "x.ckpt")
    assert list(arrays) == sorted(fake_table)
    for name, array in fake_table.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_tensorflow_checkpoint(fake_table, entry, tmp_path):
    prefix = write_bundle(tmp_path / "model.ckpt", fake_table)
    arrays = convert.convert_bundle(entry, prefix)
    assert convert.content_sha256(arrays) == convert.content_sha256(fake_table)


def test_torch_state(fake_table, entry, tmp_path):
    import torch

    state = {k: torch.from_numpy(np.array(a)) for k, a in torch_state(fake_table).items()}
    torch.save(state, tmp_path / "i3d.pt")
    data = (tmp_path / "i3d.pt").read_bytes()
    arrays = convert.convert(entry, data, "torch", "i3d.pt")
    assert convert.content_sha256(arrays) == convert.content_sha256(fake_table)


def test_torch_state_with_gains_is_refused(fake_table):
    state = torch_state(fake_table)
    key = next(k for k in state if k.endswith("bn.weight"))
    state[key] = state[key] * 2
    with pytest.raises(Corrupt, match=key):
        i3d.check_i3d(i3d.from_torch(state))


def test_one_bit_in_any_tensor_is_found_and_named(fake_table):
    rng = np.random.default_rng(4)
    for name, array in fake_table.items():
        broken = array.copy()
        flat = broken.reshape(-1).view(np.uint32)
        flat[rng.integers(flat.size)] ^= np.uint32(1 << int(rng.integers(32)))
        with pytest.raises(Corrupt, match=f"{name} differs"):
            i3d.check_i3d({**fake_table, name: broken})


def test_the_first_difference_is_named(fake_table):
    names = sorted(fake_table)
    broken = dict(fake_table)
    for name in (names[200], names[100]):
        broken[name] = fake_table[name] + 1
    with pytest.raises(Corrupt, match=f"{names[100]} differs"):
        i3d.check_i3d(broken)


def test_rgb_imagenet_is_recognised(fake, monkeypatch):
    arrays, rows = fake
    other = tuple(replace(row, crc=0, crc_imagenet=row.crc) for row in rows)
    monkeypatch.setattr(i3d, "table", lambda: other)
    with pytest.raises(Corrupt, match="this is rgb_imagenet"):
        i3d.check_i3d(arrays)


def test_missing_extra_and_misshapen_tensors_are_named(fake_table):
    name = sorted(fake_table)[7]
    fewer = {k: a for k, a in fake_table.items() if k != name}
    with pytest.raises(Corrupt, match=f"{name} is not there"):
        i3d.check_i3d(fewer)
    with pytest.raises(Corrupt, match="they have a tensor 'zoo'"):
        i3d.check_i3d({**fake_table, "zoo": np.zeros(1, np.float32)})
    with pytest.raises(Corrupt, match=f"{name} is float64"):
        i3d.check_i3d({**fake_table, name: fake_table[name].astype(float)})
    with pytest.raises(Corrupt, match=r"is float32 \(1,\)"):
        i3d.check_i3d({**fake_table, name: np.zeros(1, np.float32)})
    with pytest.raises(Corrupt, match="params/unknown"):
        i3d.check_i3d(i3d.from_flax({"params/unknown": np.zeros(1, np.float32)}))


@pytest.mark.weights
def test_the_real_weights_are_the_original_checkpoint_byte_for_byte():
    arrays = convert.read(i3d_path())
    i3d.check_i3d(arrays)
    assert convert.content_sha256(arrays) == weight_file(I3D).content
    data = b"".join(arrays[name].tobytes() for name in sorted(arrays))
    assert len(data) == 50_818_176
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    assert blob == "fa7df95674dbf3579e7fccd954e51e706b4734c1"  # of DeepMind's data file
    assert hashlib.sha256(data).hexdigest() == weight_file(I3D).sources[1].sha256


@pytest.mark.weights
def test_the_real_weights_as_a_tensorflow_checkpoint(tmp_path):
    arrays = convert.read(i3d_path())
    prefix = write_bundle(tmp_path / "model.ckpt", arrays, packed=True)
    assert convert.content_sha256(convert.convert_bundle(weight_file(I3D), prefix)) == (
        weight_file(I3D).content
    )
