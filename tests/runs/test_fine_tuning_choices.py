"""The choices of fine-tuning: their numbers, their flags, and what is refused."""

import pytest
import torch
from torch import nn

from pellucid import FineTuning, InputError, Schedule
from pellucid.cli.options import Parser
from pellucid.runs.fine_tuning import check_task, weights_of_classes


@pytest.mark.parametrize("name", ["cosine", "steps", "constant"])
def test_the_warm_up_multiplies_any_schedule(name):
    def rates(rising):
        weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
        groups = [{"params": [weight], "lr": lr} for weight, lr in zip(weights, (0.1, 0.3), strict=True)]
        optimizer = torch.optim.SGD(groups, lr=1.0)
        schedule = Schedule(name=name, milestones=(2,)).build(optimizer, steps_per_epoch=4, epochs=3, rising=rising)
        seen = []
        for _ in range(12):
            seen.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.step()
        return torch.tensor(seen, dtype=torch.float64)

    plain, warm = rates(0), rates(5)
    rise = torch.tensor([0.2, 0.4, 0.6, 0.8, *[1.0] * 8], dtype=torch.float64)
    torch.testing.assert_close(warm, plain * rise[:, None])
    torch.testing.assert_close(plain[:, 1], 3 * plain[:, 0])
    assert torch.equal(rates(1), plain)


def test_one_cycle_keeps_the_rates_of_layers():
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [w], "lr": lr} for w, lr in zip(weights, (0.1, 0.4), strict=True)], lr=1.0)
    schedule = Schedule().build(optimizer, steps_per_epoch=4, epochs=3)
    for _ in range(11):
        one, other = (group["lr"] for group in optimizer.param_groups)
        assert other == pytest.approx(4 * one)
        optimizer.step()
        schedule.step()


def test_class_weights_have_mean_one_over_the_images():
    labels = [0] * 6 + [1] * 3 + [2]
    balanced = weights_of_classes("balanced", labels, "abc")
    shares = [weight * labels.count(label) for label, weight in enumerate(balanced)]
    assert shares == pytest.approx([10 / 3] * 3)
    given = weights_of_classes((1.0, 2.0, 3.0), labels, "abc")
    assert sum(given[label] for label in labels) == pytest.approx(10)
    assert given[2] == pytest.approx(3 * given[0])
    assert weights_of_classes("balanced", [0, 0], "ab") == (1.0, 0.0)
    assert weights_of_classes(None, labels, "abc") is None


WRONG = {
    "freeze": (("stem", ""), "freeze must be a tuple of names of layers"),
    "freeze_share": (1.0, r"freeze_share must be in \[0, 1\), got 1"),
    "batchnorm": ("fixed", "batchnorm must be follow or frozen, got 'fixed'"),
    "running_statistics": ("none", "running_statistics must be clean or all, got 'none'"),
    "layer_decay": (0.0, r"layer_decay must be in \(0, 1\], got 0"),
    "head_epochs": (-1, "head_epochs must be a whole number of at least 0, got -1"),
    "warmup": (1.0, r"warmup must be in \[0, 1\), got 1"),
    "ema": (1.0, r"ema must be in \(0, 1\), such as 0.999, got 1"),
    "keep": ("first", "keep must be best or last, got 'first'"),
    "score": ("auc", "score must be one of accuracy, balanced_accuracy, loss, got 'auc'"),
    "patience": (0, "patience must be a whole number of at least 1, got 0"),
    "clip": (0.0, "clip must be positive, got 0"),
    "accumulate": (0, "accumulate must be a whole number of at least 1, got 0"),
    "class_weights": ((0.0, 0.0), "class_weights must be balanced or one number a class, none below 0"),
    "sampling": ("random", "sampling must be balanced or None, got 'random'"),
    "label_smoothing": (1.0, r"label_smoothing must be in \[0, 1\), got 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_one_sentence(name):
    value, sentence = WRONG[name]
    with pytest.raises(InputError, match=sentence):
        FineTuning(**{name: value})


def test_every_choice_is_a_flag():
    parser = Parser("train", "Train.", settings="pellucid.Experiment", config=True)
    made, _ = parser.parse(
        [
            *["--fine_tuning.freeze=stem,block.0", "--fine_tuning.class_weights=balanced", "--fine_tuning.ema=0.99"],
            *["--fine_tuning.sampling=null", "--fine_tuning.keep=best", "--fine_tuning.patience=3", "--epochs=0"],
        ]
    )
    assert made.fine_tuning == FineTuning(
        freeze=("stem", "block.0"), class_weights="balanced", ema=0.99, keep="best", patience=3
    )
    made, _ = parser.parse(["--fine_tuning.class_weights=1,2.5"])
    assert made.fine_tuning == FineTuning(class_weights=(1.0, 2.5))


@pytest.mark.parametrize(
    "tuning", [{"class_weights": "balanced"}, {"sampling": "balanced"}, {"label_smoothing": 0.1}]
)  # fmt: skip
def test_choices_of_classes_are_for_images_of_one_class(tuning):
    name, value = next(iter(tuning.items()))
    check_task(FineTuning(**tuning), "multiclass")
    with pytest.raises(InputError, match=f"fine_tuning.{name} is for images that have one class each, got {value!r}"):
        check_task(FineTuning(**tuning), "multilabel")
