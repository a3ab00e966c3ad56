"""Specs of the metrics that recognise actions; importing this module costs nothing."""

from __future__ import annotations

from vpbench.api.specs import MetricSpec
from vpbench.metrics.video_specs import I3D, MIN_FRAMES

ACTION = MetricSpec(
    name="action",
    factory="vpbench.metrics.action.probe_metric:Action",
    summary="share of clips whose action a linear probe on I3D recognises",
    kind="clip",
    direction="up",
    unit="",
    version=1,
    needs_labels=True,
    needs_training=True,
    learned="vpbench.metrics.action.learned:probe",
    min_frames=MIN_FRAMES,
    weights=(I3D,),
    citation="Carreira, Zisserman: Quo Vadis, Action Recognition?, CVPR 2017; Kim, Nam, Cho, Kim: "
    "Unsupervised Keypoint Learning for Guiding Class-Conditional Video Prediction, NeurIPS 2019",
    expected_failures={
        "optimum": "a clip is recognised or not: noise may leave the answer as it is",
        "monotone": "a clip is recognised or not: more noise may leave the answer as it is",
    },
)
"""The canonical recogniser: closed form, so that anyone who has the data has it."""

ACTION_2S = MetricSpec(
    name="action-2s",
    factory="vpbench.metrics.action.two_stream.metric:ActionTwoStream",
    summary="share of clips whose action a two-stream network recognises (@paper, @cpu: preset)",
    kind="clip",
    direction="up",
    unit="",
    version=1,
    default=False,
    needs_labels=True,
    learned="vpbench.metrics.action.learned:two_stream",
    recipes=("paper", "cpu"),
    min_frames=11,
    citation="Simonyan, Zisserman: Two-Stream Convolutional Networks for Action Recognition in "
    "Videos, NeurIPS 2014",
    expected_failures=ACTION.expected_failures,
)
"""The recogniser of Kim et al.'s table 2, whose weights differ from one training to the next."""

BUILTIN = (ACTION, ACTION_2S)
"""Metrics of this package that recognise actions."""
