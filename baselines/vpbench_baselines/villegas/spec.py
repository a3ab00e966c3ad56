"""The method `villegas` and its parts as vpbench sees them; imports nothing heavy."""

from __future__ import annotations

from vpbench.api import (
    Capabilities,
    Checkpoint,
    ComponentSpec,
    Effort,
    MethodSpec,
    TrainingCost,
)
from vpbench.kit import EFFICIENTNET_LITE0, VGG16_HED
from vpbench_baselines.villegas import params

DEVIATIONS = (
    "Each task's own clips, given frames (1 to 10), stride, horizon and geometry replace windows "
    "of 42 consecutive frames in the box around the body in all frames, future ones among them; a "
    "task that gives one frame removes the motion cue (`adapted n=1`).",
    "Any classes: the original knows eight actions of Penn Action.",
    "The given frames' poses come from a small heat-map regressor that is trained on the joints of "
    "the train split, not from a pretrained hourglass; `detector=annotated` takes the true ones, a "
    "row of its own.",
    "With a detector of unsupervised keypoints everything is trained on these, drawn as one map a "
    "point; so are joints that have not the names of Penn Action's.",
    "A point that cannot be seen in the last given frame stays out of sight.",
    "Pose features are those of the heat-map regressor, not of an hourglass; generic ones are not "
    "AlexNet's: preset paper takes relu5_3 of HED's VGG-16 (a file that can be verified), presets "
    "cpu and gpu EfficientNet-Lite0 at a stride of 8; both kinds are divided by their mean "
    "magnitude on training frames.",
    "Gaussians have a deviation of 1/32 of the side, for 8 pixels of the original crop.",
    "Batch norm of the pose features is that of evaluation, not of the batch.",
    "Frames are RGB; frames, and the LSTM's paths, are augmented: rotation to 5 degrees, crop to "
    "10 %, colour 0.2.",
    "Weights are rounded to half precision when a stage ends (matrices; vectors stay as they are).",
    "Preset cpu: widths 12 (detector, regressor), 160 (LSTM) and 16 (generator, discriminator) for "
    "64, 1024 and 64; mirrored clips; convolutions in bfloat16 while training; rates that fall to "
    "0.",
    "Preset cpu: 8000 steps of 32 paths at 2e-3 (LSTM) and 12000 of 8 pairs at 2e-3 (generator) "
    "for 37500 of 256 at 1e-3 and 100000 of 8 at 1e-4; 800 steps of the detector, or of the "
    "regressor beside another one.",
    "Preset cpu: two poolings, not three, so that frames of 64 px have the 16x16 bottleneck that "
    "the original has at 128 px.",
    "Preset cpu: first weights of the generator hand pictures on, each channel as itself, with a "
    "fifth of He's weights on top; from Xavier's a short training does not even learn colours.",
    "Preset cpu: weights 20 of the pixel loss, 0.05 of both feature losses, which are taken on a "
    "quarter of each batch, and 0.01 of the adversarial one, which begins after 80 % of the steps; "
    "the two networks are not balanced.",
    "Preset cpu: pairs of frames are at most 16 apart, not 29.",
    "With label=on the LSTM is fed the class at each step, beside the given poses and beside "
    "the zeros that follow.",
    "On a GPU batches are drawn from clips in its memory, by the same rules from other random"
    " numbers; the LSTM's come from the harness.",
    "Preset gpu: as preset cpu, with widths 24 (detector, regressor), 256 (LSTM) and 32 "
    "(generator, discriminator), both feature losses on half of each batch, and all in float32; "
    "batches of 64 paths, and of 16 pairs at 1e-3; 3000 steps of the detector, 1000 of a "
    "regressor.",
    "Preset smoke: eight steps of networks of width 4, two poolings, no generic features.",
)
"""Where this differs from the authors' code, all presets first."""

_CITATION = (
    "Villegas, Yang, Zou, Sohn, Lin, Lee: Learning to Generate Long-term Future via Hierarchical "
    "Prediction, ICML 2017"
)
_LICENCE = "Apache-2.0 (this reimplementation; the authors' code is MIT)"
_HOME = "vpbench_baselines.villegas"

DETECTOR = ComponentSpec(
    "villegas-detector",
    "detector",
    f"{_HOME}.detector:PoseDetector",
    "small heat-map regressor, trained on the joints of the train split",
    space=("n_keypoints", "joints"),
    capabilities=Capabilities(
        pose="training", trainable=True, size_multiple=8, min_size=16, memory_gib=2.0
    ),
    trained_by="self",
    citation=_CITATION,
    licence=_LICENCE,
    params=params.DETECTOR,
    presets=params.DETECTOR_PRESETS,
    costs=(TrainingCost("fit", "paper", 128, 0.991, 2.0),),
)

MOTION = ComponentSpec(
    "villegas-motion",
    "motion",
    f"{_HOME}.motion:PoseMotion",
    "LSTM that is fed the given poses, then zeros; of points of any kind",
    capabilities=Capabilities((1, 10), trainable=True, memory_gib=2.0),
    trained_by="self",
    citation=_CITATION,
    licence=_LICENCE,
    params=params.MOTION,
    presets=params.MOTION_PRESETS,
    overrides={"label=on": {"label": "required"}},
    later=params.LATER_MOTION,
    costs=(TrainingCost("fit", "paper", 128, 0.278, 3.3),),
)

TRANSLATOR = ComponentSpec(
    "villegas-translator",
    "translator",
    f"{_HOME}.translator:AnalogyTranslator",
    "draws by analogy: features of the image, minus those of its pose, plus those of the wanted",
    capabilities=Capabilities(trainable=True, size_multiple=8, min_size=16, memory_gib=3.0),
    trained_by="self",
    citation=_CITATION,
    licence=_LICENCE,
    params=params.TRANSLATOR,
    presets=params.TRANSLATOR_PRESETS,
    weights=(
        VGG16_HED.needed_when(features="vgg16-hed"),
        EFFICIENTNET_LITE0.needed_when(features="efficientnet-lite0"),
    ),
    notes={
        "features=efficientnet-lite0": "generic feature loss on EfficientNet-Lite0 "
        "(original: AlexNet)"
    },
    costs=(TrainingCost("fit", "paper", 128, 1.19, 2.6),),
)

SPEC = MethodSpec(
    "villegas",
    f"{_HOME}.method:Villegas",
    "reimplementation of Villegas et al. 2017: joints, a pose LSTM, and frames drawn by analogy "
    "with the last given one",
    capabilities=Capabilities(
        (1, 10), trainable=True, size_multiple=8, min_size=16, memory_gib=3.0
    ),
    citation=_CITATION,
    licence=_LICENCE,
    slots={
        "detector": "villegas-detector",
        "motion": "villegas-motion",
        "translator": "villegas-translator",
    },
    effort={
        "paper": Effort(167_500),
        "cpu": Effort(20_800, cpu_hours=0.4),
        "gpu": Effort(23_000, gpu_hours=0.17),
        "smoke": Effort(24, cpu_hours=0.003),
    },
    params=params.METHOD,
    overrides={"oracle=on": {"oracle": True}},
    presets={name: {} for name in params.TRANSLATOR_PRESETS},
    default_preset=((64, "gpu"), (None, "paper")),
    checkpoints=(
        Checkpoint("fit", "e2845318ce42ef1a", "checkpoints/villegas-detector.fit-e2845318ce42ef1a"),
        Checkpoint("fit", "9e4c243c5f3362db", "checkpoints/villegas-motion.fit-9e4c243c5f3362db"),
        Checkpoint("fit", "fbb5b7ae79fdcbfa", "checkpoints/villegas-motion.fit-fbb5b7ae79fdcbfa"),
        Checkpoint(
            "fit", "73d8b903d0d1f3d2", "checkpoints/villegas-translator.fit-73d8b903d0d1f3d2"
        ),
    ),
    trials=16,
    later=params.METHOD,
)
