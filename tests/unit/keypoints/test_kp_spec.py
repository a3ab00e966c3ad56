"""What is known of 'ours' before it is imported."""

from vpbench_keypoints import spec

_ALL = (spec.KEYPOINT_DETECTOR, spec.KEYPOINT_TRANSLATOR, spec.KEYPOINT_MOTION)
PARTS = {p.slot: p for p in _ALL}


def test_every_network_of_a_preset_can_be_fetched():
    networks = spec.KEYPOINT_TRANSLATOR.weights
    for preset in spec.PRESETS.values():
        chosen = {**spec.PARAMS, **preset}["perceptual"]
        assert chosen in {w.name for w in networks} | {"none"}
    assert all(w.when == {"perceptual": w.name} for w in networks)


def test_presets_set_known_parameters_to_values_of_their_kind():
    for name, preset in spec.PRESETS.items():
        assert set(preset) <= set(spec.PARAMS), name
        for key, value in preset.items():
            kinds = {type(spec.PARAMS[key]), type(value)}
            assert len(kinds) == 1 or kinds == {int, float}, (name, key)


def test_a_part_has_the_parameters_and_presets_that_concern_it():
    for part in PARTS.values():
        assert set(part.presets) == set(spec.PRESETS)
        for name, own in part.presets.items():
            wanted = {k: v for k, v in spec.PRESETS[name].items() if k in part.params}
            assert own == wanted
            for key, value in part.params.items():
                assert spec.PARAMS[key] == value
    assert set().union(*(p.params for p in PARTS.values())) == set(spec.PARAMS)
    shared = set(PARTS["motion"].params) & set(PARTS["translator"].params)
    assert shared == {"n_keypoints"}  # no choice of the second stage moves the first one's key


def test_the_paper_is_the_default_and_small_tasks_take_the_reduced_one():
    assert spec.PRESETS["paper"] == {}
    assert spec.METHOD.default_preset == ((64, "gpu"), (None, "paper"))
    assert spec.ORACLE.default_preset == spec.METHOD.default_preset
    paper = spec.PARAMS
    assert (paper["n_keypoints"], paper["soft_argmax"]) == (40, "marginal")
    assert (paper["motion_hidden"], paper["motion_latent"]) == (1024, 64)
    assert paper["sequence_adversarial_weight"] == 2.0 and paper["batch"] == 32
    assert not paper["relu_heads"] and not paper["residual"] and not paper["skips"]


def test_the_published_method_holds_no_improvement():
    for name in ("paper", "cpu", "gpu", "smoke"):
        values = {**spec.PARAMS, **spec.PRESETS[name]}
        assert not values["skips"] and not values["residual"], name
        assert values["mask"] and values["reference_keypoints"] and values["label"], name
    plus = {**spec.PARAMS, **spec.PRESETS["plus"]}
    gpu = {**spec.PARAMS, **spec.PRESETS["gpu"]}
    assert {k for k in plus if plus[k] != gpu[k]} == {"skips", "residual"}


def test_on_a_gpu_the_same_networks_are_trained_on_clips_that_lie_there():
    cpu, gpu = ({**spec.PARAMS, **spec.PRESETS[name]} for name in ("cpu", "gpu"))
    training = {"augment", "steps", "batch", "motion_augment", "motion_steps", "motion_batch"}
    assert {k for k in gpu if gpu[k] != cpu[k]} == training
    assert cpu["kl_weight"] == spec.PARAMS["kl_weight"] == 1.0
    assert gpu["augment"] == f"{cpu['augment']}-resident"
    assert gpu["motion_augment"] == f"{cpu['motion_augment']}-resident"


def test_the_oracle_borrows_every_part_and_is_one():
    assert spec.ORACLE.kind == "oracle" and spec.ORACLE.capabilities.oracle
    assert not spec.ORACLE.stages
    assert all(spec.ORACLE.slots[s] == spec.METHOD.slots[s] for s in ("detector", "translator"))
