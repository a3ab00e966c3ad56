"""The subject for each kind of plugin; modules load when they are needed."""

from __future__ import annotations

from vpbench.testing.model import Request
from vpbench.testing.subject import Subject


def make_subject(request: Request) -> Subject:
    """The subject of a request."""
    if request.kind == "method":
        from vpbench.testing.method import MethodSubject

        return MethodSubject(request)
    if request.kind == "component":
        from vpbench.testing.components import ComponentSubject

        return ComponentSubject(request)
    if request.kind == "metric":
        from vpbench.testing.metric_subject import MetricSubject

        return MetricSubject(request)
    if request.kind == "dataset":
        from vpbench.testing.datasets import DatasetSubject

        return DatasetSubject(request)
    return Subject(request)
