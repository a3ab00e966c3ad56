"""The method `wichers` as vpbench sees it; imports nothing heavy."""

from __future__ import annotations

from vpbench.api import Capabilities, Checkpoint, Effort, MethodSpec, TrainingCost
from vpbench.kit import VGG16_HED
from vpbench_baselines.wichers.params import LATER, PARAMS, PRESETS, STAGES

DEVIATIONS = (
    "Each task's own clips, given frames (1 to 5) and horizon replace 32 frames at 6.25 frames a "
    "second with 5 given; a task that gives one frame removes the motion cue (`adapted n=1`).",
    "Sizes other than 64 px are taken as they are; the maps of the analogy network grow with them.",
    "The thirteen VGG-16 convolutions start from the VGG-16 of HED (ImageNet weights tuned further "
    "for edges), because its file can be had and verified; the original starts from ImageNet.",
    "Weights are rounded to half precision when a stage ends (matrices; vectors stay as they are).",
    "Frames are augmented: rotation to 5 degrees, crop to 10 %, colour 0.2; the original had none.",
    "Predicted frames are clipped to [0,1]; the authors' notebook stretched each frame's contrast.",
    "Preset paper keeps the first stage's recipe for one GPU; its second stage has the learning "
    "rates of the authors' README, in which the encoder learns through the predictor's optimiser, "
    "and the batch of one of its workers.",
    "Presets cpu and gpu: the first stage alone (EPVA), which after a short training is the better "
    "one on validation clips; `variant=adversarial` adds the second, and is a row of its own.",
    "Preset cpu: five convolutions of 8 to 32 channels, from Glorot's weights and on frames in "
    "[-1,1], replace VGG-16, 5 cells replace 21, width 12 replaces 64, 40 numbers an encoding "
    "replace 64; without the empty action slot and without dropout.",
    "Preset cpu: encodings have length 1 from the first stage on, not from the second, so that the "
    "second continues where the first ends.",
    "Preset cpu: a bottleneck of 16 rectified channels before the last convolution, not 4, which "
    "can all die in a small network.",
    "Preset cpu: six random frames of a batch's clips count in a step of the first stage, and in "
    "the loss on frames of the second; the mean over steps is that over all frames.",
    "Preset cpu: first weights of the analogy network hand pictures on, each channel as itself, "
    "with a fifth of He's weights on top; its convolutions compute in bfloat16 in the first stage.",
    "Preset cpu: 6000 steps of four clips; the first encodings are centred on training frames and "
    "Adam's rate rises in 200 steps, to 2e-3, and falls to 0 over the last 40 %; else what frames "
    "have in common swallows what changes.",
    "Preset cpu: first weights of the predictor have the deviation 0.1, not 0.01; the latent loss "
    "rises half way to 0.02, not 0.1: before that, and under that weight, a short training has "
    "encoder and predictor agree on a constant.",
    "Preset cpu: a second stage of 120 steps of four clips, at rates of 3e-5 (predictor, critic) "
    "and 1e-4 (analogy network) that fall to 0 over its second half; a critic that starts faster "
    "is saturated after its third step.",
    "Preset cpu: the critic has width 16, not 64, and first recurrent and dense weights of "
    "deviation 0.01, not Glorot's (`critic_init=truncated`); noise has 16 numbers a step, not 100.",
    "With label=on the action slot holds the class, one number a class; the original's slot "
    "holds the actions of a robot, and zeros for people.",
    "On a GPU batches are drawn from clips in its memory, by the same rules from other random"
    " numbers.",
    "Preset gpu: as preset cpu, with widths of 24 to 96 (encoder), 24 (analogy network) and 32 "
    "(critic, which starts from Glorot's weights), a bottleneck of 24 channels, 64 numbers an "
    "encoding, and all in float32; 5000 steps of sixteen clips and eight frames, at rates up to "
    "1e-3 that fall over the second half; the latent loss rises at two fifths of the steps.",
    "Preset gpu: the late weight of the latent loss holds for the encoder alone; the "
    "predictor's gradient under it would be smaller than what Adam adds to its length, and be"
    " lost.",
    "Preset gpu: a second stage of 600 steps of eight clips, of which the first 60 are the "
    "critic's alone, at rates of 3e-5 (predictor) and 1e-4 (critic, analogy network).",
    "Preset smoke: widths of 4 and 20 steps; four of the second stage, in each of which the critic "
    "learns twice, not five times.",
)
"""Where this differs from the authors' code, all presets first."""

VGG = VGG16_HED.needed_when(encoder_init="vgg16-hed")
"""Where the encoder of preset `paper` starts."""

SPEC = MethodSpec(
    "wichers",
    "vpbench_baselines.wichers.method:Wichers",
    "reimplementation of Wichers et al. 2018: future encodings are predicted and drawn "
    "by analogy with the first frame",
    capabilities=Capabilities(
        (1, 5), stochastic=True, trainable=True, size_multiple=16, min_size=32, memory_gib=2.0
    ),
    citation=(
        "Wichers, Villegas, Erhan, Lee: Hierarchical Long-term Video Prediction without "
        "Supervision, ICML 2018"
    ),
    licence="Apache-2.0 (this reimplementation; the authors' code is Apache-2.0 too)",
    effort={
        "paper": Effort(1_120_000),
        "cpu": Effort(6_000, cpu_hours=0.31),
        "gpu": Effort(5_000),
        "smoke": Effort(24, cpu_hours=0.003),
    },
    params=PARAMS,
    overrides={
        "variant=epva": {"stochastic": False},
        "variant=e2e": {"stochastic": False},
        "label=on": {"label": "required"},
        "oracle=on": {"oracle": True, "stochastic": False, "label": "no"},
    },
    notes={"encoder=small": "networks reduced; docs/baselines.md lists all deviations"},
    stages=STAGES,
    presets=PRESETS,
    default_preset=((64, "cpu"), (None, "paper")),
    weights=(VGG,),
    checkpoints=(
        Checkpoint("epva", "a6137469ffee76f7", "checkpoints/wichers.epva-a6137469ffee76f7"),
        Checkpoint("epva", "42d2cc1b3f7ffff8", "checkpoints/wichers.epva-42d2cc1b3f7ffff8"),
        Checkpoint(
            "adversarial", "a90764a015c2a912", "checkpoints/wichers.adversarial-a90764a015c2a912"
        ),
    ),
    trials=15,
    costs=(
        TrainingCost("epva", "paper", 128, 11.4, 13.0),
        TrainingCost("adversarial", "paper", 128, 62.1, 30.0, steps="adversarial_steps"),
    ),
    later=LATER,
)
