"""Stage graphs of toy methods."""

from core_toys import (
    registry,
    task,
)

from vpbench.core.names import MethodRef
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph


def graph(text="toy", *specs, on=None, size=64, fit_seed=0, replace=()):
    toys = registry(*specs, replace=replace)
    method = resolve(MethodRef.parse(text), toys, size)
    return stage_graph(method, (on or task()).fields(), size, toys, fit_seed)


def keys(*words, **more):
    return {n.label: n.key for n in graph(*words, **more)}


def labels(nodes):
    return [n.label for n in nodes]
