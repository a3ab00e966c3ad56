"""The public names: complete, lazy, and light."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import vpbench.api as api

SOURCE = ast.parse(Path(api.__file__).read_text())


def test_every_listed_name_is_there_and_is_the_module_s_own():
    for name in api.__all__:
        home = importlib.import_module(f"vpbench.api.{api._MODULE[name]}")
        assert getattr(api, name) is getattr(home, name)
    assert set(api.__all__) <= set(dir(api))


def test_list_lazy_table_and_type_checking_imports_agree():
    (block,) = (n for n in SOURCE.body if isinstance(n, ast.If))
    typed = {
        (alias.asname, node.module.rpartition(".")[2])
        for node in block.body
        for alias in node.names
    }
    assert typed == set(api._MODULE.items())
    assert set(api.__all__) == set(api._MODULE) and len(api.__all__) == len(set(api.__all__))


@pytest.mark.parametrize(
    "module", ["capabilities", "errors", "protocols", "specs", "version", "windows", "types"]
)
def test_every_public_class_and_function_of_the_modules_is_exported(module):
    home = importlib.import_module(f"vpbench.api.{module}")
    made_here = {
        name
        for name, value in vars(home).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") == home.__name__
        and isinstance(value, type)
    }
    assert made_here <= set(api.__all__)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'Methd'"):
        _ = api.Methd
    assert not hasattr(api, "numpy")


@pytest.mark.parametrize(
    "imports",
    [
        "import vpbench.api",
        "import vpbench.api.specs",
        "import vpbench.api.errors",
        "import vpbench.api.capabilities",
        "import vpbench.api.windows",
        "from vpbench.api import Capabilities, MethodSpec, ComponentSpec, StageSpec, MetricSpec, "
        "DatasetSpec, ExecutorSpec, Checkpoint, WeightSpec, TaskSpec, WindowRule, UsageError, "
        "unmet, check_api",
    ],
)
def test_specs_and_errors_import_neither_numpy_nor_torch(imports):
    code = f"import sys; {imports}; print({{'numpy', 'torch'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_protocols_and_types_do_not_import_torch():
    code = "import sys, vpbench.api.protocols, vpbench.api.types; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_errors_have_the_exit_codes_that_their_tree_shows():
    errors = importlib.import_module("vpbench.api.errors")
    drawn = {}
    for line in errors.__doc__.splitlines():
        words = line.replace("│", " ").replace("├──", " ").replace("└──", " ").split()
        if len(words) > 1 and hasattr(errors, words[0]):
            drawn[words[0]] = words[1]
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.VpbenchError)
    }
    assert {n: str(c.exit_code) for n, c in classes.items() if n != "VpbenchError"} == {
        n: code for n, code in drawn.items() if n != "VpbenchError"
    }
    assert errors.VpbenchError.exit_code == 70


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("psrn", ["psnr", "ssim"], "Did you mean psnr?"),
        ("OURS", ["ours", "li"], "Did you mean ours?"),
        ("xyzzy", ["psnr", "ssim"], "Known: psnr, ssim."),
        ("x", [], "None is known."),
        ("zz", [f"name{k:02}" for k in range(20)], "name11, ..."),
    ],
)
def test_unknown_names_offer_the_nearest(name, known, said):
    error = api.UnknownName("metric", name, known, hint="Look here.")
    assert str(error) == f"unknown metric {name!r}. {error.fix}"
    assert said in error.fix and error.fix.endswith("Look here.")
    assert error.exit_code == 2
