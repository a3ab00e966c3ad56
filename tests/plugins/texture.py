"""Set metrics of a stranger: how strongly neighbouring pixels differ, in two sets of clips.

`texture` has the four methods that a metric must have, a floor and cached features. `texture-net`
weighs the colours by a pretrained network that its package declares.
"""

import hashlib
import math

import numpy as np

from vpbench.api import BadData, Floor, MetricSpec, Score, UsageError, WeightSpec

NET = WeightSpec(
    name="texture-net",
    sources=("https://example.org/texture/texture-net.safetensors",),
    sha256="47ed0e19a79c4943478097dd13f3009f325ef0164112ae15c59cc72739bbbce6",
    licence="CC0-1.0",
    size=84,
    format="safetensors",
    label="Texture",
)
COLOURS = np.array([0.25, 0.5, 0.25], np.float32)
"""What the file holds, under the name "colours"."""

FILE = "texture-net.safetensors"


def write_net(folder):
    """The pretrained file, the same bytes every time."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(save({"colours": COLOURS}))
    return folder / FILE


class Plain:
    """The mean difference of neighbouring pixels in two sets: only what a metric must have."""

    def __init__(self, task, params, ctx):
        self.colours = np.full(3, 1 / 3, np.float32)
        self.fake, self.real, self.groups = {}, {}, {}

    def update(self, fake, real, clip):
        for frames, axes in ((fake, 5), (real, 4)):
            if frames is not None and (frames.dtype != np.uint8 or frames.ndim != axes):
                raise BadData(f"{self.spec.name}: {clip.id} is {frames.dtype} {frames.shape}.")
        if fake is not None:
            self.fake[clip.id] = [self.feature(sample) for sample in fake]
        if real is not None:
            self.real[clip.id] = self.feature(real)
        self.groups[clip.id] = clip.group or clip.id

    def feature(self, frames):
        steps = np.abs(np.diff(frames.astype(np.float64), axis=2)).mean((0, 1, 2))
        return float(steps @ self.colours.astype(np.float64))

    def merge(self, other):
        self.fake |= other.fake
        self.real |= other.real
        self.groups |= other.groups

    def distance(self, without=None):
        def mean(values):
            kept = [v for k, v in sorted(values.items()) if self.groups[k] != without]
            return math.fsum(kept) / len(kept)

        fake = {k: math.fsum(v) / len(v) for k, v in self.fake.items()}
        return abs(mean(fake) - mean(self.real))

    def result(self):
        if min(len(self.fake), len(self.real)) < 2:
            raise UsageError(f"{self.spec.name} needs 2 clips a side.")
        left_out = {g: self.distance(g) for g in sorted(set(self.groups.values()))}
        return Score(self.distance(), len(self.fake), left_out)

    def fingerprint(self):
        return {"texture": "horizontal", "colours": [float(c) for c in self.colours]}


class Texture(Plain):
    """With a floor and with features that are computed once."""

    def __init__(self, task, params, ctx):
        super().__init__(task, params, ctx)
        self.folder = ctx.cache("texture", hashlib.sha256(self.colours.tobytes()).hexdigest()[:16])
        self.computed = 0

    def feature(self, frames):
        key = hashlib.sha256(str(frames.shape).encode() + frames.tobytes()).hexdigest()
        path = self.folder / f"{key}.txt"
        if path.is_file():
            return float(path.read_text())
        self.computed += 1
        value = super().feature(frames)
        path.write_text(repr(value))
        return value

    def flush(self):
        """Nothing waits: every feature is computed at once."""

    def real_floor(self):
        values = [v for _, v in sorted(self.real.items())]
        if len(values) < 4:
            return None
        half = len(values) // 2
        return Floor(abs(np.mean(values[:half]) - np.mean(values[half : 2 * half])), half)


class TextureNet(Texture):
    """With the colours of the pretrained file."""

    def __init__(self, task, params, ctx):
        from safetensors.numpy import load_file

        path = ctx.weights("texture-net")
        super().__init__(task, params, ctx)
        self.colours = load_file(path)["colours"]
        self.folder = ctx.cache("texture", path.stem)


PLAIN = MetricSpec(
    "texture-plain",
    f"{__file__}:Plain",
    "texture",
    "set",
    "down",
    "",
    1,
    default=False,
    min_clips=2,
)
TEXTURE = MetricSpec(
    "texture", f"{__file__}:Texture", "texture", "set", "down", "", 1, default=False, min_clips=2
)
TEXTURE_NET = MetricSpec(
    "texture-net",
    f"{__file__}:TextureNet",
    "texture, weighted",
    "set",
    "down",
    "",
    1,
    default=False,
    min_clips=2,
    weights=(NET,),
)
Plain.spec, Texture.spec, TextureNet.spec = PLAIN, TEXTURE, TEXTURE_NET
