"""Good plugins hold every check; each broken one is caught by one check, the one it is made for."""

from pathlib import Path

import pytest

from tests.contract import (
    component_mutants,
    dataset_mutants,
    executor_mutants,
    method_mutants,
    metric_mutants,
    training_mutants,
)
from vpbench.core.registry import build
from vpbench.testing import checks_of, run_checks

HERE = Path(__file__).parent
FULL = {"memory", "resume", "readme", "verify"}
MUTANTS = {
    "method": (
        method_mutants,
        {
            **method_mutants.MUTANTS,
            **training_mutants.MUTANTS,
            "broken_import": "spec-import",
            "heavy": "spec-light",
        },
    ),
    "component": (component_mutants, component_mutants.MUTANTS),
    "executor": (executor_mutants, executor_mutants.MUTANTS),
    "dataset": (dataset_mutants, dataset_mutants.MUTANTS),
    "metric": (metric_mutants, metric_mutants.MUTANTS),
}
CASES = [(k, name, catches) for k, (_, found) in MUTANTS.items() for name, catches in found.items()]
ELSEWHERE = {"readme"}  # needs an installed distribution: test_readme.py


@pytest.fixture(scope="module")
def plugins():
    files = [f"{kind}_mutants" for kind in (*MUTANTS, "training")]
    files += ["broken_import", "heavy_spec"]
    return build([str(HERE / f"{name}.py") for name in files])


def outcomes(kind, name, plugins, catches):
    full = catches is None or catches in FULL
    timeout = 8 if name == "hangs" else 120
    return run_checks(kind, name, full, plugins, timeout=timeout)


@pytest.mark.parametrize(("kind", "name", "catches"), CASES, ids=[f"{k}-{n}" for k, n, _ in CASES])
def test_each_mutant_is_caught_by_its_check_alone(kind, name, catches, plugins):
    results = outcomes(kind, name, plugins, catches)
    wrong = [r.id for r in results if not r.ok]
    assert wrong == ([catches] if catches else []), results
    for result in results:
        if not result.ok:
            assert result.expected and result.got
    if catches is None and name.startswith("declared"):
        assert [r.id for r in results if r.status == "expected-failure"] == ["moves"]


def test_every_check_has_a_mutant():
    for kind, (_, found) in MUTANTS.items():
        ids = {c.id for c in checks_of(kind, full=True)} - ELSEWHERE
        shared = {"spec-import", "spec-light", "spec-valid", "factory"}
        wanted = ids if kind == "method" else ids - shared
        assert wanted <= set(found.values()), wanted - set(found.values())
