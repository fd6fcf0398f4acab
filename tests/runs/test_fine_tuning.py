"""Fine-tuning on tiny images of a user's own: each choice against the run that does the same by other means."""

import csv
import os
import signal
import sys
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pellucid import (
    SCAAT,
    Data,
    Experiment,
    FineTuning,
    InputError,
    Network,
    Optimizer,
    Regular,
    Schedule,
    fgsm,
    fit,
)
from pellucid.config import from_config, to_config
from pellucid.data import Loader, load
from pellucid.runs import training
from pellucid.runs.directory import RunDirectory
from pellucid.runs.engine import Interrupted

PACKAGE = "photographs_for_fine_tuning"
SOURCE = """
import torch
from torch import nn


class Photographs(torch.utils.data.Dataset):
    classes = ["ant", "bee", "cat"]
    targets = [0] * 40 + [1] * 20 + [2] * 12

    def __init__(self, split):
        generator = torch.Generator().manual_seed(len(split))
        noise = torch.randint(0, 120, (72, 8, 8), generator=generator)
        self.images = (noise + 60 * torch.tensor(self.targets)[:, None, None]).to(torch.uint8)

    def __len__(self):
        return 72

    def __getitem__(self, i):
        return self.images[i], self.targets[i]


def make(split):
    return None if split == "validation" else Photographs(split)


class Small(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.drop(self.block(self.stem(x)).mean((2, 3))))


class Plain(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.stem(x).relu().mean((2, 3)))


def returned_in_eval_mode(num_classes):
    return Small(num_classes).eval()


class Stubborn(Small):
    def train(self, mode=True):
        super().train(mode)
        self.stem[1].eval()
        return self
"""


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    (folder / f"{PACKAGE}.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


def experiment(network="Small", tuning=None, **changes):
    settings = {
        "dataset": Data(name=f"{PACKAGE}:make", channels=1, validation=24, augmentation="none"),
        "network": Network(name=f"{PACKAGE}:{network}"),
        "method": Regular(),
        "optimizer": Optimizer(name="sgd", lr=0.1, momentum=0.0),
        "schedule": Schedule(name="constant"),
        "epochs": 2,
        "batch_size": 16,
        "fine_tuning": tuning,
    }
    return Experiment(**(settings | changes))


def train(run, *arguments, **changes):
    """The weights that a run leaves."""
    return load_file(fit(experiment(*arguments, **changes), run, progress=False) / "model.safetensors")


def rows(run):
    with (run / "train.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def moved(before, after):
    """The names whose values differ, the parts of the network apart."""
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def given(package, tmp_path_factory):
    """The network as it is given."""
    return train(tmp_path_factory.mktemp("runs") / "given", epochs=0)


@pytest.fixture(scope="module")
def regular(package, tmp_path_factory):
    """Two epochs without a word of fine-tuning."""
    return train(tmp_path_factory.mktemp("runs") / "regular")


def test_fine_tuning_without_choices_changes_no_bit(regular, tmp_path):
    assert not moved(regular, train(tmp_path / "run", "Small", FineTuning()))
    assert from_config(to_config(experiment(tuning=FineTuning(ema=0.9))), Experiment).fine_tuning.ema == 0.9
    old = to_config(experiment())
    del old["fine_tuning"]
    assert from_config(old, Experiment) == experiment()


def test_no_epoch_leaves_the_network_as_it_is_given(given, tmp_path):
    run = fit(experiment(epochs=0), tmp_path / "before")
    directory = RunDirectory(run)
    assert directory.is_finished and directory.facts.classes == ("ant", "bee", "cat")
    assert {file.name for file in run.iterdir()} == {
        *("experiment.yaml", "environment.json", "data.json", "train.csv", "model.safetensors"),
        *(".lock", "digests.json"),
    }
    one = train(tmp_path / "one", optimizer=Optimizer(name="sgd", lr=1e-30), epochs=1)
    weights = [name for name in given if name.endswith(("weight", "bias"))]
    assert all(torch.allclose(one[name], given[name], atol=1e-20) for name in weights)
    assert fit(experiment(epochs=0), run, resume=True) == run
    weights = Network(name=f"{PACKAGE}:Small", weights=str(tmp_path / "one" / "model.safetensors"))
    loaded = load_file(fit(replace(experiment(epochs=0), network=weights), tmp_path / "loaded") / "model.safetensors")
    assert not moved(one, loaded)


def test_frozen_layers_and_their_statistics_stay(given, tmp_path):
    after = train(tmp_path / "run", "Small", FineTuning(freeze=("stem", "network.block.?")))
    assert moved(given, after) == {"network.head.weight", "network.head.bias"}
    after = train(tmp_path / "half", "Small", FineTuning(freeze_share=0.5))
    assert not {name for name in moved(given, after) if "stem" in name}
    assert "network.block.0.weight" in moved(given, after)


def test_frozen_statistics_with_and_without_scale_and_shift(given, tmp_path):
    after = train(tmp_path / "affine", "Small", FineTuning(batchnorm="frozen"))
    assert not {name for name in moved(given, after) if "running" in name or "tracked" in name}
    assert "network.stem.1.weight" in moved(given, after)
    after = train(tmp_path / "fixed", "Small", FineTuning(batchnorm="frozen", affine=False))
    assert not {name for name in moved(given, after) if ".1." in name}
    assert "network.stem.0.weight" in moved(given, after)


def test_the_head_alone_first(given, regular, tmp_path):
    after = train(tmp_path / "run", "Small", FineTuning(head_epochs=2))
    assert moved(given, after) == {"network.head.weight", "network.head.bias"}
    first = train(tmp_path / "one", "Small", FineTuning(head_epochs=1), epochs=1)
    both = train(tmp_path / "then", "Small", FineTuning(head_epochs=1))
    assert "network.stem.0.weight" in moved(first, both) and moved(regular, both)


def test_networks_are_put_in_training_mode_as_their_factories_mean_it(regular, given, tmp_path, capsys):
    assert not moved(regular, train(tmp_path / "woken", "returned_in_eval_mode"))
    stubborn = train(tmp_path / "stubborn", "Stubborn")
    assert not {name for name in moved(given, stubborn) if "stem.1.running" in name}
    assert "network.block.1.running_mean" in moved(given, stubborn)
    fit(experiment("Stubborn", FineTuning(freeze=("block",)), epochs=1), tmp_path / "told")
    assert capsys.readouterr().err == (
        "told: 63 of 219 parameters are trained; BatchNorm statistics follow the data in 0 of 2 layers "
        "(2 stay as they are)\n"
    )
    every = "219 of 219 parameters are trained; BatchNorm statistics follow the data in 2 of 2 layers"
    for epochs, said in (
        (2, "only the last layer is trained, and BatchNorm keeps its statistics"),
        (3, f"{every}; in the first 2 epochs only the last layer is trained"),
    ):
        fit(experiment("Small", FineTuning(head_epochs=2), epochs=epochs), tmp_path / f"head {epochs}")
        assert capsys.readouterr().err == f"head {epochs}: {said}\n"


def one_step(tmp_path, name, tuning=None, **changes):
    """What one step of plain gradient descent on one batch of the network without BatchNorm subtracts."""
    data = Data(name=f"{PACKAGE}:make", channels=1, validation=24, augmentation="none", limit=16)
    changes = {"dataset": data, "epochs": 1, "batch_size": 16} | changes
    before = train(tmp_path / f"{name} before", "Plain", None, **(changes | {"epochs": 0}))
    after = train(tmp_path / name, "Plain", tuning, **changes)
    return {key.removeprefix("network."): before[key] - after[key] for key in before if "network" in key}


def test_rates_fall_from_the_last_layer_to_the_first(tmp_path):
    plain = one_step(tmp_path, "plain")
    decayed = one_step(tmp_path, "decayed", FineTuning(layer_decay=0.1))
    for name, share in {"stem.weight": 0.1, "stem.bias": 0.1, "head.weight": 1.0, "head.bias": 1.0}.items():
        torch.testing.assert_close(decayed[name], share * plain[name], rtol=1e-3, atol=1e-7)


def test_long_gradients_are_clipped_to_the_norm(tmp_path):
    length = lambda step: torch.cat([value.flatten() for value in step.values()]).norm().item()
    free = one_step(tmp_path, "free")
    clipped = one_step(tmp_path, "clipped", FineTuning(clip=0.05))
    assert length(free) > 0.1 * 0.05
    assert length(clipped) == pytest.approx(0.1 * 0.05, rel=1e-3)
    loose = one_step(tmp_path, "loose", FineTuning(clip=1e3))
    assert all(torch.equal(loose[name], free[name]) for name in free)


def test_accumulated_batches_are_one(tmp_path):
    """Of 48 images, 3 batches of 16 in steps of 2 and 1; the reference takes the same steps by hand."""
    after = train(tmp_path / "run", "Plain", FineTuning(accumulate=2), epochs=1)
    data = load(experiment().dataset, "train")
    network = training.build_network(experiment("Plain"), data)
    batches = list(Loader(data, batch_size=16, shuffle=True, seed=0, drop_last=True).epoch(0))
    for together in (batches[:2], batches[2:]):
        image, label = torch.cat([b.image for b in together]), torch.cat([b.label for b in together])
        loss = nn.functional.cross_entropy(network(image), label)
        for parameter, gradient in zip(
            network.parameters(), torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            parameter.data -= 0.1 * gradient
    for name, value in network.state_dict().items():
        torch.testing.assert_close(after[name], value)
    assert rows(tmp_path / "run")[0]["step"] == "3"


def test_the_average_is_that_of_the_steps(tmp_path):
    """A run of e epochs of one step each leaves the weights after step e, of which the reference makes the average."""
    data = Data(name=f"{PACKAGE}:make", channels=1, validation=24, augmentation="none", limit=16)
    steps = [train(tmp_path / f"{epochs}", dataset=data, epochs=epochs) for epochs in (1, 2, 3)]
    averaged = train(tmp_path / "average", "Small", FineTuning(ema=0.15), dataset=data, epochs=3)
    for name, value in averaged.items():
        if value.is_floating_point():
            expected = steps[0][name].double()
            for step, weight in ((steps[1], 0.15), (steps[2], 0.15)):  # the ramp says 2/11 and 3/12
                expected = weight * expected + (1 - weight) * step[name].double()
            torch.testing.assert_close(value, expected.float())
        else:
            assert torch.equal(value, steps[2][name])
    slow = train(tmp_path / "slow", "Small", FineTuning(ema=0.999), dataset=data, epochs=2)
    ramp = 2 / 11 * steps[0]["network.head.weight"] + 9 / 11 * steps[1]["network.head.weight"]
    torch.testing.assert_close(slow["network.head.weight"], ramp)


UNSTEADY = {"optimizer": Optimizer(name="sgd", lr=3.0, momentum=0.0), "epochs": 6}


@pytest.mark.parametrize("score", ["accuracy", "balanced_accuracy", "loss"])
def test_the_best_epoch_is_kept(tmp_path, score):
    """At a rate that makes the scores jump; the reference is a run that ends with the best epoch."""
    run = tmp_path / "best"
    kept = train(run, "Small", FineTuning(keep="best", score=score), **UNSTEADY)
    log = rows(run)
    sign = -1 if score == "loss" else 1
    values = [(sign * float(row[f"validation_{score}"]), -float(row["validation_loss"])) for row in log]
    best = max(range(6), key=lambda epoch: values[epoch])
    assert best < 5, "otherwise the test says nothing"
    assert [int(row["best_epoch"]) for row in log] == [
        max(range(e + 1), key=lambda epoch: values[epoch]) for e in range(6)
    ]
    shorter = train(tmp_path / "shorter", "Small", FineTuning(), **(UNSTEADY | {"epochs": best + 1}))
    assert not moved(kept, shorter)


def test_balanced_accuracy_is_the_mean_over_classes(tmp_path):
    run = fit(experiment(tuning=FineTuning(patience=3, score="balanced_accuracy")), tmp_path / "run", progress=False)
    validation = load(experiment().dataset, "validation")
    network = training.load_network(run, validation)
    right = network(validation.images.float() / 255).argmax(1) == validation.labels
    shares = [right[validation.labels == label].float().mean() for label in validation.labels.unique()]
    assert float(rows(run)[-1]["validation_balanced_accuracy"]) == pytest.approx(float(sum(shares) / len(shares)))


def test_patience_ends_a_run_with_all_that_a_run_leaves(tmp_path):
    tuning = FineTuning(patience=2)
    run = fit(
        experiment(tuning=tuning, **(UNSTEADY | {"epochs": 40, "method": SCAAT(attack=fgsm(eps=0.1))})),
        tmp_path / "run",
        progress=False,
    )
    log = rows(run)
    assert 2 < len(log) < 40
    assert len(log) - 1 - int(log[-1]["best_epoch"]) == 2
    assert (run / "model.safetensors").exists() and (run / "q.parquet").exists()
    assert max(pq.read_table(run / "q.parquet")["epoch"].to_pylist()) == len(log) - 1


EVERYTHING = FineTuning(
    layer_decay=0.1, head_epochs=1, warmup=0.3, ema=0.9, keep="best", patience=5, clip=1.0, accumulate=2,
    class_weights="balanced", label_smoothing=0.1,
)  # fmt: skip
WHOLE = {
    "method": SCAAT(attack=fgsm(eps=0.1), warmup=0.0),
    "optimizer": Optimizer(name="adamw", lr=0.01),
    "schedule": Schedule(name="cosine"),
    "epochs": 3,
    "batch_size": 8,
}


def test_interrupted_runs_end_with_the_same_bits(tmp_path, monkeypatch):
    """Of 6 batches an epoch, one is stopped in the head's epoch and one between the two batches of a step."""
    whole = train(tmp_path / "whole", "Small", EVERYTHING, **WHOLE)
    step, calls = training.train_step, []

    def interrupt(*arguments, **options):
        calls.append(None)
        if len(calls) in (4, 9):
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments, **options)

    monkeypatch.setattr(training, "train_step", interrupt)
    cut, asked = tmp_path / "cut", experiment("Small", EVERYTHING, **WHOLE)
    for batches in (4, 4):
        with pytest.raises(Interrupted):
            fit(asked, cut, resume=True, progress=False)
        state = torch.load(cut / "state.pt", weights_only=True)
        assert state["batch"] == batches and {"average", "selection"} <= state.keys()
    fit(asked, cut, resume=True, progress=False)
    assert not moved(whole, load_file(cut / "model.safetensors"))
    assert rows(tmp_path / "whole") == rows(cut)


@pytest.mark.slow
def test_two_processes_fine_tune_as_one(tmp_path):
    """Without BatchNorm, two processes with half of each batch do what one does with all of it."""
    settings = WHOLE | {"method": Regular(), "epochs": 2}
    one = train(tmp_path / "one", "Plain", EVERYTHING, **settings)
    run = fit(
        experiment("Plain", EVERYTHING, **settings), tmp_path / "two", accelerator="cpu", devices=2,
        strategy="ddp_spawn", progress=False,
    )  # fmt: skip
    two = load_file(run / "model.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(rows(tmp_path / "one"), rows(run), strict=True):
        assert ours["best_epoch"] == theirs["best_epoch"]
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-4)


def test_balanced_sampling_evens_the_classes_of_an_epoch(tmp_path):
    data = load(experiment().dataset, "train")
    counts = Counter(data.labels.tolist())
    loader = Loader(data, batch_size=16, shuffle=True, seed=0, balanced=True, drop_last=True)
    for epoch in (0, 1):
        batches = list(loader.epoch(epoch))
        assert sorted(Counter(torch.cat([b.label for b in batches]).tolist()).values()) == [16, 16, 16]
        times = Counter(torch.cat([b.index for b in batches]).tolist())
        for label, count in counts.items():
            seen = [times[i] for i in range(len(data)) if data.labels[i] == label]
            assert set(seen) <= {16 // count, -(-16 // count)} and sum(seen) == 16
    again = [b.index.tolist() for b in loader.epoch(1)]
    assert again == [b.index.tolist() for b in batches] != [b.index.tolist() for b in loader.epoch(0)]
    halves = [
        [b.index.tolist() for b in Loader(
            data, batch_size=16, shuffle=True, seed=0, balanced=True, drop_last=True, rank=rank, world=2
        ).epoch(1)]
        for rank in (0, 1)
    ]  # fmt: skip
    assert [a + b for a, b in zip(*halves, strict=True)] == again
    assert moved(train(tmp_path / "run", "Small", FineTuning(sampling="balanced")), train(tmp_path / "plain"))
    with pytest.raises(InputError, match="balanced needs shuffled images that have one class each"):
        Loader(data, batch_size=16, shuffle=False, seed=0, balanced=True, drop_last=True)


@pytest.mark.parametrize(
    ("tuning", "changes", "sentence"),
    [
        ({"freeze": ("stam",)}, {}, "no layer 'stam' to freeze, did you mean stem"),
        ({"freeze": ("*",)}, {}, "nothing is left to train: all 3 layers of the network are frozen"),
        ({"freeze": ("head",), "head_epochs": 1}, {}, "head_epochs trains the last layer, 'head', which is frozen"),
        ({"class_weights": (1.0, 2.0)}, {}, "class_weights must be one number for each of the 3 classes, got 2"),
        ({"keep": "best"}, {"dataset": {"validation": 0}}, "keep 'best' needs validation images"),
        ({"patience": 3}, {"dataset": {"validation": 0}}, "patience 3 needs validation images"),
        ({"warmup": 0.1}, {"schedule": Schedule()}, "one-cycle rises over schedule.warmup, got fine_tuning.warmup 0.1"),
        (
            {"class_weights": "balanced", "sampling": "balanced"},
            {},
            "class_weights and sampling are both balanced, which would count rare classes twice",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(tmp_path, tuning, changes, sentence):
    asked = {**changes}
    if "dataset" in changes:
        asked["dataset"] = replace(experiment().dataset, **changes["dataset"])

    def ask():
        fit(experiment("Small", FineTuning(**tuning), **asked), tmp_path / "run", progress=False)

    with pytest.raises(InputError, match=sentence):
        ask()
    assert not (tmp_path / "run").exists()


def test_few_of_many_validation_images_are_scored_the_same_ones_every_time(tmp_path, monkeypatch):
    seen = []
    scores = training.validation_scores

    def watched(fabric, model, batches, classes):
        seen.append(torch.cat([batch.index for batch in batches.epoch(0)]).tolist())
        seen.append(torch.cat([batch.label for batch in batches.epoch(0)]).tolist())
        return scores(fabric, model, batches, classes)

    monkeypatch.setattr(training, "validation_scores", watched)
    monkeypatch.setattr(training, "SCORED", 5)
    fit(experiment(), tmp_path / "run", progress=False)
    assert [len(each) for each in seen] == [12] * 4, "a quarter of the 48 that train, of 24"
    assert seen[:2] == seen[2:]
