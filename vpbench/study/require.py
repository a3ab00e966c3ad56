"""The optional packages of the study."""

from __future__ import annotations

from importlib.util import find_spec

from vpbench.api.errors import MissingDependency


def need_server() -> None:
    """Fail early where the server's packages are missing.

    Raises:
        MissingDependency: with the command that installs them.
    """
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise MissingDependency(
                f"the study server needs {package}.", fix="pip install 'vpbench[study]'"
            )
