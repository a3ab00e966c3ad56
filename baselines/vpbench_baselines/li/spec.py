"""The method `li` as vpbench sees it; imports nothing heavy."""

from __future__ import annotations

from vpbench.api import Capabilities, Checkpoint, Effort, MethodSpec, TrainingCost, WeightSpec
from vpbench.kit import EFFICIENTNET_LITE0, VGG16_HED, VGG19
from vpbench_baselines.li.params import LATER, PARAMS, PRESETS, STAGES

DEVIATIONS = (
    "Each task's own clips and stride replace 17 consecutive frames at 24 frames a second, and its "
    "crop a scaling to 128x128 that ignores the aspect.",
    "The flow teacher is OpenCV's DIS, whose program can be had everywhere; `teacher=spynet` is "
    "the original's (weights for non-commercial research only), `teacher=raft-small` a third.",
    "Sizes other than 128 px: each halving takes one stage that leaves time alone out of the flow "
    "model; kernels at its narrow end cover the whole map; the largest flow scales with the size.",
    "Horizons over 16 frames restart from the last frame with a new code (`chained`); of shorter "
    "ones the flow after the end is set to zero for the encoder and does not count in the loss.",
    "The VGG-19 of the perceptual loss is torchvision's, each layer divided by its mean magnitude "
    "on training frames; the original's was normalised channel by channel on ImageNet.",
    "First weights are He's, those of the last layer of flow a tenth of it.",
    "Training stops after a number of steps and keeps the last weights; the original ran on and "
    "kept those with the best training loss.",
    "Weights are rounded to half precision when a stage ends (matrices; vectors stay as they are).",
    "Preset cpu: widths 16 (flow model) and 32 (refiner) replace 64 in both, 64 numbers 2000; the "
    "refiner has one halving, not three: a short training does not learn to bring a picture "
    "through a narrower map.",
    "Preset cpu: the KL is a mean over numbers and clips with the weight 0.002; a sum beside a "
    "mean flow error, as in the original, makes posterior collapse almost certain.",
    "Preset cpu: flow of more than half a pixel counts five times; most pixels do not move, and a "
    "short training by the plain mean draws no flow at all.",
    "Preset cpu: flow up to 5 px at 64 px (the original's bound would be 2.5); clips are mirrored.",
    "Preset cpu: the refiner learns from neighbouring frames, which is what it is asked for; the "
    "original's pairs are two frames apart.",
    "Preset cpu: the perceptual network is EfficientNet-Lite0, its loss weighs 0.2, not 1, and the "
    "squared error of pixels 1000, not 65025, so that the features count.",
    "Preset cpu: 2500 steps of 8 clips (flow model) and 4000 of 8 pairs (refiner); Adam starts at "
    "1e-3 and falls to 0 over the last 70 % of the steps; layers compute in bfloat16 in training.",
    "On a GPU batches are drawn from clips in its memory, by the same rules from other random"
    " numbers.",
    "Preset gpu: as preset cpu, with widths 32 (flow model) and 64 (refiner), the squared error of "
    "pixels with a weight of 20000, and all in float32; 5000 steps of 16 clips and 16000 of 32 "
    "pairs, the refiner's rate falling over the last 80 %.",
    "Preset smoke: twelve steps of each network at width 4, without a perceptual loss.",
)
"""Where this differs from the authors' code, all presets first."""

_PERCEPTUAL = tuple(
    network.needed_when(perceptual=network.name)
    for network in (EFFICIENTNET_LITE0, VGG16_HED, VGG19)
)

_RAFT = WeightSpec(
    name="raft-small",
    sources=("https://download.pytorch.org/models/raft_small_C_T_V2-01064c6d.pth",),
    sha256="01064c6dba73b0fc9fc8edf772248560a00a3acfd62ac6677e9eeebad9680e27",
    licence="BSD-3-Clause (torchvision)",
    size=4_006_189,
    format="torch",
    when={"teacher": "raft-small"},
    label="RAFT (small)",
    files=("raft_small_C_T_V2-01064c6d.pth",),
    note="trained on FlyingChairs and FlyingThings3D",
)

_SPYNET = tuple(
    WeightSpec(
        name=f"spynet-{level}",
        sources=(
            f"https://raw.githubusercontent.com/anuragranj/spynet/{commit}/models/"
            f"modelL{level}_4.t7",
        ),
        sha256=sha256,
        licence="non-commercial research",
        size=1_927_718,
        format="torch7",
        when={"teacher": "spynet"},
        label=f"SPyNet (level {level})",
        files=(f"modelL{level}_4.t7",),
        note="trained on clean Flying Chairs; never part of a plugin or a release",
        terms="SPyNet's weights are for non-commercial research only and may not be passed on",
    )
    for level, sha256, commit in (
        (1, "0270a837", "d800009ae434fc325b5cc7f0b7a8f92af653b964"),
        (2, "4e7fa57d", "d800009ae434fc325b5cc7f0b7a8f92af653b964"),
        (3, "907280d9", "d800009ae434fc325b5cc7f0b7a8f92af653b964"),
        (4, "f5d54420", "93a3f64031210c064f0c65d1a758231d1d1eef0a"),
        (5, "4f863ce8", "93a3f64031210c064f0c65d1a758231d1d1eef0a"),
    )
)
"""Ranjan and Black 2017: one file a level of the pyramid, level 1 the coarsest. The commits of the
authors' repository are those that wrote each file last."""

SPEC = MethodSpec(
    "li",
    "vpbench_baselines.li.method:Li",
    "reimplementation of Li et al. 2018: optical flow of sixteen frames from one image and a "
    "random code, then frames redrawn along it",
    capabilities=Capabilities(
        (1, 1), stochastic=True, trainable=True, size_multiple=8, min_size=32, memory_gib=2.0
    ),
    citation=(
        "Li, Fang, Yang, Wang, Lu, Yang: Flow-Grounded Spatial-Temporal Video Prediction from "
        "Still Images, ECCV 2018"
    ),
    licence="Apache-2.0 (this reimplementation; no licence is stated for the authors' code)",
    effort={
        "paper": Effort(2_500_000),
        "cpu": Effort(6_500, cpu_hours=0.36),
        "gpu": Effort(21_000, gpu_hours=0.125),
        "smoke": Effort(24, cpu_hours=0.003),
    },
    params=PARAMS,
    overrides={"oracle=on": {"oracle": True, "stochastic": False}},
    notes={
        "recursion=off": "each frame is redrawn from a warped one (original: from a redrawn one)",
        "refiner=off": "frames as the flow has warped them, without the second network",
        "teacher=dis": "flow learned from OpenCV's DIS (original: SPyNet)",
        "kl_reduction=mean": "KL as a mean (original: a sum, under which the code says nothing)",
        "perceptual=efficientnet-lite0": "perceptual loss on EfficientNet-Lite0 (original: VGG-19)",
        "width=16": "networks reduced; docs/baselines.md lists all deviations",
        "width=32": "networks reduced; docs/baselines.md lists all deviations",
    },
    stages=STAGES,
    presets=PRESETS,
    default_preset=((64, "gpu"), (None, "paper")),
    weights=(*_PERCEPTUAL, _RAFT, *_SPYNET),
    checkpoints=(
        Checkpoint("flow", "75e4ff1e0d0e79ae", "checkpoints/li.flow-75e4ff1e0d0e79ae"),
        Checkpoint("refiner", "a10df8efad2845fd", "checkpoints/li.refiner-a10df8efad2845fd"),
    ),
    trials=25,
    costs=(
        TrainingCost("flow", "paper", 128, 0.501, 4.4),
        TrainingCost("refiner", "paper", 128, 0.408, 1.9, steps="refiner_steps"),
    ),
    later=LATER,
)
