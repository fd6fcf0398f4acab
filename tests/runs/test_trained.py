"""A run's network and images: mapped by name where they belong together, refused in one sentence where they do not."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pellucid import Data, Experiment, InputError, Network, Regular, fit
from pellucid.explanation.explained_network import of_run
from pellucid.models import build
from pellucid.runs.directory import RunDirectory
from pellucid.runs.predictions import predict
from pellucid.runs.trained import OtherImages, load, load_network, open_run

PICTURES = Experiment(
    dataset=Data(name="things_of_a_user:make", validation=6, channels=1, augmentation="none", workers=0),
    network=Network(name="lenet5"),
    method=Regular(),
    epochs=1,
    batch_size=18,
)


@pytest.fixture
def run(users, tmp_path):
    return fit(PICTURES, tmp_path / "run", progress=False)


def named(dataset):
    return [dataset.classes[label] for label in dataset.labels]


def test_a_run_records_what_it_knows_of_its_data(run):
    _, train = open_run(run, "train")
    recorded = json.loads(RunDirectory(run).data.read_text())
    assert recorded.pop("contents")["train"] == train.contents
    assert recorded == {name: value for name, value in train.facts().items() if name != "contents"}
    facts = RunDirectory(run).facts
    assert (facts.classes, facts.shape, facts.images) == (("ant", "bee", "cat"), (1, 28, 28), 54)
    assert facts.fingerprint == train.fingerprint and (facts.mean, facts.std) == (train.mean, train.std)


def test_a_network_that_normalises_nothing_is_recorded_so(users, tmp_path):
    plain = Experiment(
        dataset=PICTURES.dataset, network=Network(name="lenet5", normalize=False), epochs=1, batch_size=18
    )
    facts = RunDirectory(fit(plain, tmp_path / "plain", progress=False)).facts
    assert facts.mean is None and facts.std is None


def test_a_network_that_normalises_by_itself_is_opened_again(users, tmp_path, monkeypatch):
    (tmp_path / "itself_of_a_user.py").write_text(
        "from torch import nn\nfrom pellucid.models import Normalize\n"
        "def make(num_classes, in_channels):\n"
        "    layers = nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)\n"
        "    return nn.Sequential(Normalize([0.3] * in_channels, [0.2] * in_channels), *layers)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    chosen = replace(PICTURES, network=Network(name="itself_of_a_user:make"))
    run = fit(chosen, tmp_path / "itself", progress=False)
    model, dataset = open_run(run)
    x = dataset.take([0, 1, 2]).float() / 255
    assert isinstance(model.get_submodule("normalize"), nn.Identity)
    assert torch.equal(load(run)(x), model(x)) and torch.equal(of_run(run).model(x), model(x))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_images_that_may_have_trained_by_now_are_refused(tmp_path, split):
    """After pictures were added, another part of the folder is held back."""
    draws = np.random.default_rng(0)

    def add(numbers):
        for name in ("cat", "dog"):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            for i in numbers:
                pixels = draws.integers(0, 256, (28, 28), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i:02d}.png")

    add(range(20))
    data = Data(name="folder", path=str(tmp_path / "photos"), channels=1, augmentation="none")
    run = fit(replace(PICTURES, dataset=data, batch_size=8), tmp_path / "run", progress=False)
    assert len(open_run(run, split)[1]) > 0
    add(range(20, 26))
    with pytest.raises(OtherImages):
        open_run(run, split)


def test_a_run_records_the_normalisation_that_its_weights_brought(users, run, tmp_path):
    given = Network(name="lenet5", mean=(0.25,), std=(0.5,))
    first = fit(replace(PICTURES, network=given), tmp_path / "first", progress=False)
    start = Network(name="lenet5", weights=str(RunDirectory(first).weights))
    second = fit(replace(PICTURES, network=start), tmp_path / "second", progress=False)
    for tuned in (first, second):
        facts = RunDirectory(tuned).facts
        assert (facts.mean, facts.std) == ((0.25,), (0.5,))
        assert load_network(tuned).get_buffer("normalize.mean").item() == 0.25
    by_data = fit(replace(PICTURES, network=replace(start, normalize="data")), tmp_path / "third", progress=False)
    assert RunDirectory(by_data).facts.mean == RunDirectory(run).facts.mean != (0.25,)


NETWORKS = """
from torch import nn

class Scores(nn.Module):
    def __init__(self, num_classes, in_channels, pretrained=False):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 5, stride=4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        features = self.conv(x).relu().mean((2, 3))
        return {"features": features, "scores": self.fc(features)}
"""


def test_a_network_that_gives_a_dict_is_trained_and_read_back(users, tmp_path, monkeypatch):
    (tmp_path / "networks_of_dicts.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    network = Network(name="networks_of_dicts:Scores")
    run = fit(replace(PICTURES, network=network), tmp_path / "run", progress=False)
    model, test = open_run(run)
    assert model(test.take([0, 1]).float() / 255).shape == (2, 3)
    assert "network.net.fc.weight" in model.state_dict()
    again = Network(name="networks_of_dicts:Scores", weights=str(RunDirectory(run).weights))
    built = build(again, classes=3, shape=(1, 28, 28), mean=(), std=(), unknown="leave").eval()
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(built(x), model(x))
    asked = replace(PICTURES, network=Network(name="networks_of_dicts:Scores", options={"pretrained": True}))
    with pytest.raises(
        InputError, match="nothing says how pixels are normalised for the weights of 'networks_of_dicts"
    ):
        fit(asked, tmp_path / "asked", progress=False)
    assert not (tmp_path / "asked").exists()


def test_classes_in_another_order_are_mapped_by_name(users, run):
    network, dataset = open_run(run)
    before = named(dataset)
    users.CLASSES = {"train": ["cat", "ant", "bee"], "test": ["cat", "ant", "bee"]}
    again, reordered = open_run(run)
    assert reordered.classes == ("ant", "bee", "cat")
    assert named(reordered) == [{"ant": "cat", "bee": "ant", "cat": "bee"}[name] for name in before]
    x = dataset.take([0, 1]).float() / 255
    assert torch.equal(network(x), again(x))


def test_a_run_that_knows_its_classes_is_evaluated_without_training_images(users, run, monkeypatch):
    make, asked = users.make, []
    monkeypatch.setattr(users, "make", lambda split: asked.append(split) or make(split))
    network, dataset = open_run(run)
    assert "train" not in asked and dataset.classes == ("ant", "bee", "cat")
    RunDirectory(run).data.unlink()
    older, same = open_run(run)
    assert "train" in asked, "a run of before does not know its classes"
    assert torch.equal(dataset.labels, same.labels)
    x = dataset.take([0, 1]).float() / 255
    assert torch.equal(network(x), older(x))


def test_fewer_classes_keep_the_networks_numbers(users, run):
    users.CLASSES = {"train": ["ant", "bee", "cat"], "test": ["bee", "cat"]}
    network, dataset = open_run(run)
    assert dataset.labels[:2].tolist() == [1, 2] and network(torch.rand(1, 1, 28, 28)).shape == (1, 3)


@pytest.mark.parametrize(
    ("classes", "unknown"), [(["ant", "bee", "lynx"], "lynx"), (["ant", "bee", "cat", "dog"], "dog")]
)
def test_other_classes_are_refused(users, run, classes, unknown):
    users.CLASSES = {"train": classes, "test": classes}
    with pytest.raises(InputError, match=f"was trained on other classes .* class '{unknown}' .*: ant, bee, cat"):
        open_run(run)
    with pytest.raises(InputError, match="was trained on other classes"):
        predict(run)


def test_images_of_another_size_are_refused(users, run):
    users.SIDE = 32
    with pytest.raises(InputError, match=r"trained on images of 1 × 28 × 28 .* are 1 × 32 × 32"):
        open_run(run)


def test_other_test_images_of_the_same_classes_are_measured(users, run):
    users.SEED = 1
    assert len(open_run(run)[1]) == 60


def test_a_run_without_images_of_a_split(users, tmp_path):
    data = Data(name="things_of_a_user:make", validation=0, channels=1, augmentation="none", workers=0)
    run = fit(Experiment(dataset=data, epochs=1, batch_size=20), tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="has no validation images; it was trained with"):
        open_run(run, "validation")


def test_resuming_needs_the_same_training_images(users, run):
    weights = RunDirectory(run).weights.read_bytes()
    RunDirectory(run).weights.unlink()
    users.SEED = 1
    with pytest.raises(InputError, match=r"the training images of .*run have changed since it was begun"):
        fit(PICTURES, run, resume=True, progress=False)
    users.SEED = 0
    assert RunDirectory(fit(PICTURES, run, resume=True, progress=False)).weights.read_bytes() == weights


def test_a_run_of_before_is_opened_as_it_is(users, run):
    network, dataset = open_run(run)
    RunDirectory(run).data.unlink()
    assert RunDirectory(run).facts is None
    older, same = open_run(run)
    assert torch.equal(network(torch.ones(1, 1, 28, 28)), older(torch.ones(1, 1, 28, 28)))
    assert same.fingerprint == dataset.fingerprint
    with pytest.raises(InputError, match=r"has no data.json, .* give a split of its dataset"):
        load_network(run)
    users.SEED, weights = 1, RunDirectory(run).weights
    weights.unlink()
    fit(PICTURES, run, resume=True, progress=False)  # nothing is known that could be held against these images
    assert weights.exists()


def test_the_network_needs_no_images(users, run, monkeypatch):
    network, dataset = open_run(run)
    monkeypatch.delattr(users, "make")
    subject = of_run(run)
    assert (subject.classes, subject.shape) == (dataset.classes, dataset.shape)
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(load_network(run)(x), network(x)) and torch.equal(subject.model(x), network(x))


def test_a_network_is_not_loaded_for_classes_in_another_order(users, run):
    users.CLASSES = {"train": ["cat", "ant", "bee"], "test": ["cat", "ant", "bee"]}
    from pellucid.data import load

    with pytest.raises(InputError, match="trained on the classes ant, bee, cat, got data of cat, ant, bee; .*open_run"):
        load_network(run, load(PICTURES.dataset, "test"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": 3}'])
def test_damaged_facts_are_told(users, run, text):
    RunDirectory(run).data.write_text(text)
    with pytest.raises(
        InputError, match=r"data.json is (not JSON|not what training wrote) .*; restore it, or train again"
    ):
        open_run(run)
