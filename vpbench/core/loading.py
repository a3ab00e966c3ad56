"""Imports what specs name: modules, single files, and the objects in them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vpbench.api.errors import MethodFailed, MissingDependency, UsageError, VpbenchError
from vpbench.core.code import module_file, single_module
from vpbench.core.discovery import PluginRef


def load_object(value: str) -> Any:
    """Import "pkg.mod:ATTR", "pkg.mod" or "path/file.py:ATTR".

    Raises:
        UsageError: it cannot be read, or the attribute is not there.
        Exception: whatever importing it raises.
    """
    module_name, _, attribute = value.partition(":")
    if not module_name:
        raise UsageError(f"cannot read {value!r}.", fix="Write pkg.mod:NAME or ./file.py:NAME.")
    module = _file_module(module_name) if module_name.endswith(".py") else _module(module_name)
    target: Any = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(target, part):
            raise UsageError(f"{module_name} has no {attribute}.")
        target = getattr(target, part)
    return target


def may_hold_dataset(ref: PluginRef) -> bool:
    """Whether a dataset may be announced there; nothing is imported."""
    if ref.source == "builtin" or ref.dist == "vpbench":
        return False
    if ref.kind:
        return ref.kind == "dataset"
    path = source_of(ref.value)
    try:
        return path is not None and b"DatasetSpec" in path.read_bytes()
    except OSError:
        return False


def source_of(value: str) -> Path | None:
    """The source file of "pkg.mod:ATTR" or "file.py:ATTR"; None where there is none."""
    module = value.partition(":")[0]
    if not module.endswith(".py"):
        return module_file(module) if module else None
    return Path(module).expanduser().absolute()


def absolute_value(value: str) -> str:
    """The same place for a process with another working directory."""
    module, colon, attribute = value.partition(":")
    if not module.endswith(".py"):
        return value
    return f"{Path(module).expanduser().absolute()}{colon}{attribute}"


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _file_module(text: str) -> Any:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise UsageError(f"there is no plugin file {path}.")
    name = single_module(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_factory(value: str, owner: str, beside: PluginRef) -> Callable[..., Any]:
    """The class or function that a spec's `factory` names.

    A plugin in a single file may write "file.py:Class" or ":Class" for a class in that same file.

    Raises:
        MissingDependency, UsageError, MethodFailed: as `load_plugin`.
    """
    if value.startswith(":") or value.partition(":")[0] == Path(home_of(beside)).name:
        value = f"{home_of(beside)}:{value.partition(':')[2]}"
    return load_plugin(value, owner, f"its factory {value}")


def load_plugin(value: str, owner: str, what: str) -> Any:
    """What `load_object` gives; whatever importing it raises is one sentence.

    Args:
        owner: whom the sentence is about.
        what: the object in it.

    Raises:
        MissingDependency: a package that the plugin imports is not installed.
        UsageError: there is no such object.
        MethodFailed: importing it raised anything else.
    """
    try:
        return load_object(value)
    except VpbenchError:
        raise
    except ModuleNotFoundError as error:
        module = value.partition(":")[0]
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"{owner}: {what} does not exist.") from error
        raise MissingDependency(
            f"{owner} needs the Python package {error.name!r}.",
            fix=f"pip install {(error.name or '').partition('.')[0]}",
        ) from error
    except (Exception, SystemExit) as error:
        raise MethodFailed(f"{owner} cannot be imported: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """An exception in one line, with the file and the line of the user's code that it is about."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")
    place = "" if isinstance(error, SyntaxError) else _place(error)  # a SyntaxError says where
    return f"{text} ({place})" if place else text


def _place(error: BaseException) -> str:
    """The innermost line outside vpbench, and where possible outside installed packages."""
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    foreign = [f for f in frames if not f[0].startswith((_OWN, "<"))]
    own = [f for f in foreign if not f[0].startswith(_INSTALLED)]
    if not foreign:
        return ""
    name, line = (own or foreign)[-1]
    return f"{_short(name)}, line {line}"


def _short(name: str) -> str:
    """A path as people here would write it."""
    path = Path(name)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else name


_OWN = f"{Path(__file__).parents[1]}{os.sep}"
_INSTALLED = tuple({f"{sysconfig.get_path(key)}{os.sep}" for key in ("stdlib", "purelib")})


def home_of(ref: PluginRef) -> str:
    """The module or file that a plugin's spec stands in."""
    return ref.value.partition(":")[0]
