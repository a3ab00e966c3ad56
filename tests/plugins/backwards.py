"""The dataset `folder` with its clips listed the other way round, under the same task id."""

from vpbench.api import DatasetSpec

SPEC = DatasetSpec("backwards", "tests.plugins.backwards_dataset:Backwards", "folder, reversed")
