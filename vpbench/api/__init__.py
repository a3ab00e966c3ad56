"""All that a plugin author imports from vpbench, besides `vpbench.kit` for torch.

Names load on first use (PEP 562), so that a spec module can import from here without numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vpbench.api.capabilities import Capabilities as Capabilities
    from vpbench.api.capabilities import Need as Need
    from vpbench.api.capabilities import unmet as unmet
    from vpbench.api.costs import Effort as Effort
    from vpbench.api.costs import TrainingCost as TrainingCost
    from vpbench.api.errors import BadData as BadData
    from vpbench.api.errors import Corrupt as Corrupt
    from vpbench.api.errors import HashMismatch as HashMismatch
    from vpbench.api.errors import Incomparable as Incomparable
    from vpbench.api.errors import MethodFailed as MethodFailed
    from vpbench.api.errors import Missing as Missing
    from vpbench.api.errors import MissingData as MissingData
    from vpbench.api.errors import MissingDependency as MissingDependency
    from vpbench.api.errors import MissingWeights as MissingWeights
    from vpbench.api.errors import Refused as Refused
    from vpbench.api.errors import UnknownName as UnknownName
    from vpbench.api.errors import Unwritable as Unwritable
    from vpbench.api.errors import UsageError as UsageError
    from vpbench.api.errors import VpbenchError as VpbenchError
    from vpbench.api.executors import Executor as Executor
    from vpbench.api.executors import Handle as Handle
    from vpbench.api.executors import StreamsEvents as StreamsEvents
    from vpbench.api.optional import CachesFeatures as CachesFeatures
    from vpbench.api.optional import DeclaresBias as DeclaresBias
    from vpbench.api.optional import Downloads as Downloads
    from vpbench.api.optional import FitsOnTraining as FitsOnTraining
    from vpbench.api.optional import HasFloor as HasFloor
    from vpbench.api.optional import HasInstructions as HasInstructions
    from vpbench.api.optional import HasPermutationTest as HasPermutationTest
    from vpbench.api.optional import HasPublishedCounts as HasPublishedCounts
    from vpbench.api.optional import HasRandomAccess as HasRandomAccess
    from vpbench.api.optional import HasSubsets as HasSubsets
    from vpbench.api.optional import HasWarnings as HasWarnings
    from vpbench.api.optional import MakesTasks as MakesTasks
    from vpbench.api.optional import Progress as Progress
    from vpbench.api.optional import ReportsProgress as ReportsProgress
    from vpbench.api.protocols import Component as Component
    from vpbench.api.protocols import Dataset as Dataset
    from vpbench.api.protocols import Detector as Detector
    from vpbench.api.protocols import FitContext as FitContext
    from vpbench.api.protocols import HasIntermediates as HasIntermediates
    from vpbench.api.protocols import KeypointView as KeypointView
    from vpbench.api.protocols import Method as Method
    from vpbench.api.protocols import Metric as Metric
    from vpbench.api.protocols import MetricContext as MetricContext
    from vpbench.api.protocols import MotionModel as MotionModel
    from vpbench.api.protocols import OracleMethod as OracleMethod
    from vpbench.api.protocols import Trainable as Trainable
    from vpbench.api.protocols import TrainingClips as TrainingClips
    from vpbench.api.protocols import TrainView as TrainView
    from vpbench.api.protocols import Translator as Translator
    from vpbench.api.specs import Checkpoint as Checkpoint
    from vpbench.api.specs import ComponentSpec as ComponentSpec
    from vpbench.api.specs import DatasetSpec as DatasetSpec
    from vpbench.api.specs import ExecutorSpec as ExecutorSpec
    from vpbench.api.specs import HttpsSource as HttpsSource
    from vpbench.api.specs import MethodSpec as MethodSpec
    from vpbench.api.specs import MetricSpec as MetricSpec
    from vpbench.api.specs import OwnSource as OwnSource
    from vpbench.api.specs import PyPISource as PyPISource
    from vpbench.api.specs import StageSpec as StageSpec
    from vpbench.api.specs import TaskSpec as TaskSpec
    from vpbench.api.specs import WeightSpec as WeightSpec
    from vpbench.api.types import NO_AUGMENT as NO_AUGMENT
    from vpbench.api.types import Augment as Augment
    from vpbench.api.types import Batch as Batch
    from vpbench.api.types import Clip as Clip
    from vpbench.api.types import ClipInfo as ClipInfo
    from vpbench.api.types import Conditioning as Conditioning
    from vpbench.api.types import Floor as Floor
    from vpbench.api.types import Frames as Frames
    from vpbench.api.types import Labels as Labels
    from vpbench.api.types import Pair as Pair
    from vpbench.api.types import Pose as Pose
    from vpbench.api.types import Problem as Problem
    from vpbench.api.types import Recognition as Recognition
    from vpbench.api.types import Score as Score
    from vpbench.api.types import Seeds as Seeds
    from vpbench.api.types import TaskInfo as TaskInfo
    from vpbench.api.version import API as API
    from vpbench.api.version import check_api as check_api
    from vpbench.api.windows import WindowRule as WindowRule

_HOME = {
    "capabilities": "Capabilities Need unmet",
    "costs": "Effort TrainingCost",
    "errors": "BadData Corrupt HashMismatch Incomparable MethodFailed Missing MissingData "
    "MissingDependency MissingWeights Refused UnknownName Unwritable UsageError VpbenchError",
    "executors": "Executor Handle StreamsEvents",
    "optional": "CachesFeatures DeclaresBias Downloads FitsOnTraining HasFloor HasInstructions "
    "HasPermutationTest HasPublishedCounts HasRandomAccess HasSubsets HasWarnings MakesTasks "
    "Progress ReportsProgress",
    "protocols": "Component Dataset Detector FitContext KeypointView HasIntermediates Method "
    "Metric MetricContext MotionModel OracleMethod Trainable TrainingClips TrainView Translator",
    "specs": "Checkpoint ComponentSpec DatasetSpec ExecutorSpec HttpsSource MethodSpec MetricSpec "
    "OwnSource PyPISource StageSpec TaskSpec WeightSpec",
    "types": "NO_AUGMENT Augment Batch Clip ClipInfo Conditioning Floor Frames Labels Pair Pose "
    "Problem Recognition Score Seeds TaskInfo",
    "version": "API check_api",
    "windows": "WindowRule",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "API",
    "NO_AUGMENT",
    "Augment",
    "BadData",
    "Batch",
    "CachesFeatures",
    "Capabilities",
    "Checkpoint",
    "Clip",
    "ClipInfo",
    "Component",
    "ComponentSpec",
    "Conditioning",
    "Corrupt",
    "Dataset",
    "DatasetSpec",
    "DeclaresBias",
    "Detector",
    "Downloads",
    "Effort",
    "Executor",
    "ExecutorSpec",
    "FitContext",
    "FitsOnTraining",
    "Floor",
    "Frames",
    "Handle",
    "HasFloor",
    "HasInstructions",
    "HasIntermediates",
    "HasPermutationTest",
    "HasPublishedCounts",
    "HasRandomAccess",
    "HasSubsets",
    "HasWarnings",
    "HashMismatch",
    "HttpsSource",
    "Incomparable",
    "KeypointView",
    "Labels",
    "MakesTasks",
    "Method",
    "MethodFailed",
    "MethodSpec",
    "Metric",
    "MetricContext",
    "MetricSpec",
    "Missing",
    "MissingData",
    "MissingDependency",
    "MissingWeights",
    "MotionModel",
    "Need",
    "OracleMethod",
    "OwnSource",
    "Pair",
    "Pose",
    "Problem",
    "Progress",
    "PyPISource",
    "Recognition",
    "Refused",
    "ReportsProgress",
    "Score",
    "Seeds",
    "StageSpec",
    "StreamsEvents",
    "TaskInfo",
    "TaskSpec",
    "TrainView",
    "Trainable",
    "TrainingClips",
    "TrainingCost",
    "Translator",
    "UnknownName",
    "Unwritable",
    "UsageError",
    "VpbenchError",
    "WeightSpec",
    "WindowRule",
    "check_api",
    "unmet",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'vpbench.api' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vpbench.api.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULE))
