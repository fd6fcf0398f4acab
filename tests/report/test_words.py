"""How training is put in words."""

import pytest

from pellucid.report.words import training_words

ATTACK = {"class_path": "pellucid.attacks.PGD", "init_args": {"eps": 8 / 255, "step_size": 2 / 255, "steps": 7}}


@pytest.mark.parametrize(
    ("name", "options", "smoothing", "expected"),
    [
        ("pellucid.methods.Regular", {}, None, "Regular training"),
        ("pellucid.methods.Regular", None, None, "Regular training"),
        (
            "pellucid.methods.AdversarialTraining",
            {"attack": ATTACK, "clean": "sum"},
            {"layers": ["pool1"], "filter": "gaussian"},
            "Adversarial training, PGD-7, ε 8/255, clean images: sum, Gaussian smoothing after pool1",
        ),
        (
            "pellucid.methods.SaliencyGuided",
            {"fraction": 0.5, "weight": 1.0, "attack": None},
            None,
            "Saliency-guided training (SGT), lowest 0.5 replaced, λ 1",
        ),
        (
            "pellucid.methods.SCAAT",
            {"attack": {"eps": 0.3, "steps": 1}, "weight": 1.0, "share": 0.125, "adaptive": False, "q": 0.5},
            {"filter": None, "layers": []},
            "SCAAT, one attack step, ε 0.3, λ 1, on 1/8 of each batch, fixed q 0.5, 1×1 block without smoothing",
        ),
        (
            "pellucid.methods.SCAAT",
            {"weight": 1.0, "ranking": "random", "q_pass": "eval"},
            None,
            "SCAAT, λ 1, at random places, q by eval-mode predictions",
        ),
        (
            "pellucid.methods.NoiseAugmentation",
            {"share": 0.5},
            None,
            "Noise in random regions of images (control), share 0.5",
        ),
        (
            "mine.Own",
            {"weight": 2, "soft": True, "kind": "l2", "attack": ATTACK, "inner": {"a": 1}, "none": None},
            {"filter": "gaussian", "layers": []},
            "Own, PGD-7, ε 8/255, weight 2, soft True, kind l2, Gaussian smoothing",
        ),
    ],
)
def test_main_parameters_are_named(name, options, smoothing, expected) -> None:
    config = {"method": {"class_path": name, "init_args": options}, "smoothing": smoothing}
    assert training_words(config) == expected


def test_a_penalty_names_the_method_that_it_is_added_to() -> None:
    regular = {"class_path": "pellucid.methods.Regular", "init_args": {}}
    penalty = {"weight": 0.01, "norm": "l1", "method": regular}
    config = {"method": {"class_path": "pellucid.methods.GradientPenalty", "init_args": penalty}}
    assert training_words(config) == "Input-gradient penalty, weight 0.01, norm l1"
    aligned = {"weight": 1.0, "cosine_weight": 2.0, "method": config["method"]}
    sgt = {"class_path": "pellucid.methods.SaliencyGuided", "init_args": {"fraction": 0.5, "weight": 1.0}}
    penalty["method"] = sgt
    assert training_words({"method": {"class_path": "pellucid.methods.GradientAlignment", "init_args": aligned}}) == (
        "Gradient alignment, weight 1, cosine weight 2, added to Input-gradient penalty, weight 0.01, norm l1, "
        "added to Saliency-guided training (SGT), lowest 0.5 replaced, λ 1"
    )


def test_the_activation_is_named_before_the_smoothing() -> None:
    config = {
        "method": {"class_path": "pellucid.methods.Regular"},
        "activation": {"name": "smooth_relu", "beta": 8.0},
        "smoothing": {"layers": ["relu1"], "filter": "mean"},
    }
    assert training_words(config) == "Regular training, smooth relu for ReLU, β 8, mean smoothing after relu1"


def test_a_composition_names_both_of_its_attacks() -> None:
    scaat = {"attack": {"eps": 0.3, "steps": 4}, "weight": 0.3}
    options = {"scaat": scaat, "attack": {"eps": 0.1, "steps": 5}, "attacked_share": 0.5}
    config = {"method": {"class_path": "pellucid.methods.AdversarialSCAAT", "init_args": options}}
    words = "Adversarial training, PGD-5, ε 0.1, on 0.5 of each batch, with SCAAT, PGD-4, ε 0.3, λ 0.3"
    assert training_words(config) == words
