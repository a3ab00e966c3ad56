"""What the lists of deviations say of presets cpu and gpu is what these presets are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from vpbench.api import ComponentSpec, MethodSpec
from vpbench_baselines.li import spec as li
from vpbench_baselines.villegas import spec as villegas
from vpbench_baselines.wichers import spec as wichers

Said = Mapping[str, tuple[str | int | float | bool, str]]
"""Parameter -> its value, and where a deviation says so."""

# Where villegas has a parameter in several parts, the part's name precedes it.
CPU: dict[str, Said] = {
    "li": {
        "flow_max": (10.0, "flow up to 5 px at 64 px"),
        "flip": (True, "clips are mirrored"),
        "precision": ("bf16", "layers compute in bfloat16"),
        "width": (16, "widths 16 (flow model)"),
        "latent": (64, "64 numbers 2000"),
        "moving_weight": (4.0, "more than half a pixel counts five times"),
        "kl_weight": (0.002, "with the weight 0.002"),
        "kl_reduction": ("mean", "the KL is a mean"),
        "steps": (2500, "2500 steps of 8 clips"),
        "batch": (8, "2500 steps of 8 clips"),
        "rate": (1e-3, "Adam starts at 1e-3"),
        "decay": (0.7, "falls to 0 over the last 70 %"),
        "refiner_width": (32, "and 32 (refiner) replace 64 in both"),
        "refiner_levels": (1, "one halving, not three"),
        "pair_gap": (1, "learns from neighbouring frames"),
        "perceptual": ("efficientnet-lite0", "the perceptual network is EfficientNet-Lite0"),
        "perceptual_weight": (0.2, "its loss weighs 0.2, not 1"),
        "colour_weight": (1000.0, "the squared error of pixels 1000, not 65025"),
        "refiner_steps": (4000, "4000 of 8 pairs"),
        "refiner_batch": (8, "4000 of 8 pairs"),
        "refiner_rate": (1e-3, "Adam starts at 1e-3"),
        "refiner_decay": (0.7, "falls to 0 over the last 70 %"),
    },
    "wichers": {
        "variant": ("epva", "the first stage alone (EPVA)"),
        "encoder": ("small", "five convolutions"),
        "encoder_init": ("scratch", "from Glorot's weights and on frames in [-1,1]"),
        "encoder_width": (8, "of 8 to 32 channels"),
        "encoding": (40, "40 numbers an encoding replace 64"),
        "width": (12, "width 12 replaces 64"),
        "cells": (5, "5 cells replace 21"),
        "action_slot": (0, "without the empty action slot"),
        "predictor_spread": (0.1, "of the predictor have the deviation 0.1, not 0.01"),
        "bottleneck": (16, "a bottleneck of 16 rectified channels"),
        "encoder_dropout": (0.0, "without dropout"),
        "decoder_dropout": (0.0, "without dropout"),
        "decoder_init": ("identity", "hand pictures on"),
        "unit_norm": (True, "encodings have length 1 from the first stage on"),
        "centred": (True, "the first encodings are centred"),
        "counted": (6, "six random frames"),
        "steps": (6000, "6000 steps of four clips"),
        "batch": (4, "6000 steps of four clips"),
        "rate": (2e-3, "to 2e-3"),
        "decay": (0.4, "falls to 0 over the last 40 %"),
        "warm": (200, "rises in 200 steps"),
        "precision": ("bf16", "its convolutions compute in bfloat16 in the first stage"),
        "latent_weight": (0.02, "to 0.02, not 0.1"),
        "latent_delay": (3000, "the latent loss rises half way"),
        "adversarial_steps": (120, "120 steps of four clips"),
        "adversarial_batch": (4, "120 steps of four clips"),
        "adversarial_decay": (0.5, "fall to 0 over its second half"),
        "critic_width": (16, "the critic has width 16, not 64"),
        "critic_init": ("truncated", "`critic_init=truncated`"),
        "noise": (16, "noise has 16 numbers a step, not 100"),
        "rate_predictor": (3e-5, "3e-5 (predictor, critic)"),
        "rate_decoder": (1e-4, "1e-4 (analogy network)"),
        "rate_critic": (3e-5, "3e-5 (predictor, critic)"),
    },
    "villegas": {
        "detector.width": (12, "widths 12 (detector, regressor)"),
        "detector.steps": (800, "800 steps of the detector"),
        "detector.precision": ("bf16", "convolutions in bfloat16 while training"),
        "detector.flip": (True, "mirrored clips"),
        "motion.hidden": (160, "160 (LSTM)"),
        "motion.steps": (8000, "8000 steps of 32 paths at 2e-3 (LSTM)"),
        "motion.batch": (32, "8000 steps of 32 paths at 2e-3 (LSTM)"),
        "motion.rate": (2e-3, "8000 steps of 32 paths at 2e-3 (LSTM)"),
        "motion.schedule": ("cosine", "rates that fall to 0"),
        "motion.flip": (True, "mirrored clips"),
        "translator.width": (16, "16 (generator, discriminator)"),
        "translator.pools": (2, "two poolings, not three"),
        "translator.init": ("identity", "hand pictures on"),
        "translator.pixel_weight": (20.0, "weights 20 of the pixel loss"),
        "translator.features": ("efficientnet-lite0", "cpu and gpu EfficientNet-Lite0"),
        "translator.feature_share": (0.25, "on a quarter of each batch"),
        "translator.generic_weight": (0.05, "0.05 of both feature losses"),
        "translator.pose_weight": (0.05, "0.05 of both feature losses"),
        "translator.adversarial_weight": (0.01, "0.01 of the adversarial one"),
        "translator.adversarial_start": (0.8, "begins after 80 % of the steps"),
        "translator.discriminator_width": (16, "16 (generator, discriminator)"),
        "translator.margin": (0.0, "the two networks are not balanced"),
        "translator.regressor_width": (12, "widths 12 (detector, regressor)"),
        "translator.regressor_steps": (800, "or of the regressor"),
        "translator.pair_gap": ("1-16", "at most 16 apart, not 29"),
        "translator.steps": (12_000, "12000 of 8 pairs at 2e-3 (generator)"),
        "translator.rate": (2e-3, "12000 of 8 pairs at 2e-3 (generator)"),
        "translator.schedule": ("cosine", "rates that fall to 0"),
        "translator.precision": ("bf16", "convolutions in bfloat16 while training"),
        "translator.flip": (True, "mirrored clips"),
    },
}

GPU: dict[str, Said] = {
    "li": {
        "precision": ("fp32", "all in float32"),
        "width": (32, "widths 32 (flow model)"),
        "steps": (5000, "5000 steps of 16 clips"),
        "batch": (16, "5000 steps of 16 clips"),
        "refiner_width": (64, "64 (refiner)"),
        "colour_weight": (20_000.0, "squared error of pixels with a weight of 20000"),
        "refiner_steps": (16_000, "16000 of 32 pairs"),
        "refiner_batch": (32, "16000 of 32 pairs"),
        "refiner_decay": (0.8, "the refiner's rate falling over the last 80 %"),
    },
    "wichers": {
        "encoder_width": (24, "widths of 24 to 96 (encoder)"),
        "encoding": (64, "64 numbers an encoding"),
        "width": (24, "24 (analogy network)"),
        "bottleneck": (24, "a bottleneck of 24 channels"),
        "counted": (8, "sixteen clips and eight frames"),
        "steps": (5000, "5000 steps of sixteen clips"),
        "batch": (16, "5000 steps of sixteen clips"),
        "rate": (1e-3, "rates up to 1e-3"),
        "decay": (0.5, "fall over the second half"),
        "precision": ("fp32", "all in float32"),
        "latent_delay": (20_000, "the latent loss rises at two fifths of the steps"),
        "latent_part": (0.4, "the latent loss rises at two fifths of the steps"),
        "latent_for": ("encoder", "holds for the encoder alone"),
        "adversarial_steps": (600, "600 steps of eight clips"),
        "adversarial_batch": (8, "600 steps of eight clips"),
        "critic_width": (32, "32 (critic, which starts from Glorot's weights)"),
        "critic_init": ("glorot", "critic, which starts from Glorot's weights"),
        "critic_lead": (0.1, "of which the first 60 are the critic's alone"),
        "rate_critic": (1e-4, "1e-4 (critic, analogy network)"),
    },
    "villegas": {
        "detector.width": (24, "widths 24 (detector, regressor)"),
        "detector.steps": (3000, "3000 steps of the detector"),
        "detector.precision": ("fp32", "all in float32"),
        "motion.hidden": (256, "256 (LSTM)"),
        "motion.batch": (64, "batches of 64 paths"),
        "translator.width": (32, "32 (generator, discriminator)"),
        "translator.feature_share": (0.5, "both feature losses on half of each batch"),
        "translator.discriminator_width": (32, "32 (generator, discriminator)"),
        "translator.regressor_width": (24, "widths 24 (detector, regressor)"),
        "translator.regressor_steps": (1000, "1000 of a regressor"),
        "translator.batch": (16, "of 16 pairs at 1e-3"),
        "translator.rate": (1e-3, "of 16 pairs at 1e-3"),
        "translator.precision": ("fp32", "all in float32"),
    },
}

OWN = {"detector.batch", "detector.rate"}
"""Of a part that the original does not have."""

SPECS: dict[str, tuple[Sequence[str], Mapping[str, MethodSpec | ComponentSpec]]] = {
    "li": (li.DEVIATIONS, {"": li.SPEC}),
    "wichers": (wichers.DEVIATIONS, {"": wichers.SPEC}),
    "villegas": (
        villegas.DEVIATIONS,
        {
            "detector.": villegas.DETECTOR,
            "motion.": villegas.MOTION,
            "translator.": villegas.TRANSLATOR,
        },
    ),
}


def preset_of(method: str, name: str) -> dict[str, str | int | float | bool]:
    """All parameters of all parts under a preset."""
    return {
        part + param: value
        for part, spec in SPECS[method][1].items()
        for param, value in {**spec.params, **spec.presets[name]}.items()
    }


@pytest.mark.parametrize("method", SPECS)
@pytest.mark.parametrize(("preset", "before", "said"), [("cpu", "paper", CPU), ("gpu", "cpu", GPU)])
def test_deviations_name_each_parameter_that_a_preset_changes(
    method: str, preset: str, before: str, said: dict[str, Said]
):
    lines = [line for line in SPECS[method][0] if preset in line.split(":")[0] or "presets" in line]
    text = " ".join(lines)
    new, old = preset_of(method, preset), preset_of(method, before)
    assert {k for k in new if new[k] != old[k]} - OWN == set(said[method])
    for param, (value, words) in said[method].items():
        assert new[param] == value, param
        assert words in text, param


def test_a_row_of_villegas_says_which_network_its_generic_features_are_of():
    notes = villegas.TRANSLATOR.notes
    for preset in ("cpu", "gpu"):
        param = f"features={preset_of('villegas', preset)['translator.features']}"
        assert "EfficientNet-Lite0" in notes[param]
