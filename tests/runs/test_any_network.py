"""Any network is measured: as an object, by its name, and given back as it was."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

import pellucid
from pellucid import Data, Evaluation, Experiment, InputError, evaluate, fit
from pellucid.cli.main import main
from pellucid.core.notes import tell
from pellucid.data import Dataset
from pellucid.models import Normalize, Preprocessing
from pellucid.report import compare, read_run, read_runs, write_report
from pellucid.runs import RunDirectory
from pellucid.runs.any_network import lent, on_pixels, probed

FEW = Evaluation(
    images=6, metrics=("clean_accuracy", "gini", "aopc_morf"), saliency=("vanilla_gradient",), steps=2, repeats=1,
    gallery=2,
)  # fmt: skip
CLASSES = ("ant", "bee", "cat")


class Tiny(nn.Module):
    """A convolution, batch norm and dropout: what training mode would change."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.head = nn.Linear(4, classes)

    def forward(self, x):
        return self.head(self.drop(F.relu(self.norm(self.conv(x)))).mean((2, 3)))


class Probabilities(Tiny):
    def forward(self, x):
        return super().forward(x).softmax(1)


class Scribbling(Tiny):
    def forward(self, x):
        return super().forward(x.mul_(2).sub_(1))


def images(n=9, classes=CLASSES, side=8):
    pixels = torch.randint(0, 256, (n, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Dataset("insects", "test", classes, (1, side, side), torch.arange(n) % len(classes), pixels, pixels)


class Examples(torch.utils.data.Dataset):
    """What `images` holds, as a torch Dataset of (image, label)."""

    classes = CLASSES

    def __init__(self):
        self.held = images()
        self.targets = self.held.labels.tolist()

    def __len__(self):
        return len(self.held)

    def __getitem__(self, i):
        return self.held.image(i)[0], int(self.held.labels[i])


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Tiny().train()


def rows(run):
    return pq.read_table(run / "rows.parquet")


def measured(network, dataset, out, evaluation=FEW, **options):
    return evaluate(network, dataset, evaluation, out=out, progress=False, accelerator="cpu", **options)


def test_an_object_is_measured_and_given_back_as_it_was(network, tmp_path):
    network.norm.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    run = measured(network, images(), tmp_path / "before", mean=0.5, std=0.25)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    table, data = rows(run), images()
    x = data.take(table["index"].to_pylist()).float() / 255
    logits = network.eval()((x - 0.5) / 0.25)
    assert table["prediction"].to_pylist() == logits.argmax(1).tolist()
    np.testing.assert_allclose(table["score"].to_numpy(), logits.softmax(1).amax(1).detach(), rtol=1e-5)


def test_its_directory_is_a_row_of_a_table_like_others(network, tmp_path):
    before = measured(network, images(), tmp_path / "before", mean=0, std=1)
    network.head.bias.data[0] += 3
    after = measured(network, images(), tmp_path / "after", mean=0, std=1)
    runs = read_runs([before, after])
    table = compare(runs, baseline=runs[0])
    assert table["before"]["method"] == "as given" and "differences" in table["after"]
    assert json.loads((before / "data.json").read_text())["classes"] == list(CLASSES)
    assert read_run(before).training["seconds"].size == 0


def test_what_cannot_be_built_again_says_so(network, tmp_path):
    run = measured(network, images(), tmp_path / "before", mean=0, std=1)
    with pytest.raises(InputError, match="given as a Python object, which cannot be built again"):
        pellucid.load(run)
    with pytest.raises(InputError, match="given as a Python object"):
        evaluate(run, FEW)
    weights = load_file(RunDirectory(run).weights)
    again = Tiny()
    again.load_state_dict({k.removeprefix("network."): v for k, v in weights.items() if k.startswith("network.")})
    assert torch.equal(again.head.weight, network.head.weight)


def test_another_network_or_training_is_not_overwritten(network, tmp_path):
    run = measured(network, images(), tmp_path / "before", mean=0, std=1)
    old = rows(run)
    with pytest.raises(InputError, match=r"holds the network object:.*Tiny already"):
        measured(Probabilities(), images(), run, mean=0, std=1)
    assert rows(run).equals(old)
    network.head.bias.data[0] += 3
    measured(network, images(), run, mean=0, std=1)
    assert not rows(run).equals(old)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(InputError, match=r"is not a run, as it holds 'thesis.txt'"):
        measured(network, images(), tmp_path / "full", mean=0, std=1)


def test_a_torch_dataset_is_measured_alike(network, tmp_path):
    one = measured(network, images(), tmp_path / "one", mean=0, std=1)
    two = measured(network, Examples(), tmp_path / "two", mean=0, std=1)
    assert rows(one).to_pylist() == rows(two).to_pylist()


def test_classes_are_mapped_by_name(network, tmp_path):
    mixed = images(classes=("cat", "ant"))
    run = measured(network, mixed, tmp_path / "before", classes=CLASSES, mean=0, std=1)
    names = [CLASSES[label] for label in rows(run)["label"].to_pylist()]
    assert names == [mixed.classes[mixed.labels[i]] for i in rows(run)["index"].to_pylist()]
    with pytest.raises(InputError, match=r"must give logits \(n, 2\) .* got \(2, 3\); classes names those of the net"):
        measured(network, mixed, tmp_path / "other", mean=0, std=1)


def test_what_a_user_should_know_is_said_once(network, tmp_path, capsys):
    tell.cache_clear()
    measured(network, images(), tmp_path / "one")
    assert capsys.readouterr().err.count("nothing normalises the pixels of Tiny") == 1
    measured(Probabilities(), images(), tmp_path / "two", mean=0, std=1)
    assert capsys.readouterr().err.count("the network Probabilities ends in a softmax") == 1
    measured(network, images(), tmp_path / "three", mean=0, std=1)
    assert capsys.readouterr().err == ""


def test_a_network_that_writes_into_its_images_gets_a_copy(network, tmp_path):
    scribbling = Scribbling()
    scribbling.load_state_dict(network.state_dict())
    x = torch.rand(2, 1, 8, 8)
    kept = x.clone()
    model, logits = probed(on_pixels(scribbling.eval(), channels=1), x)
    assert torch.equal(x, kept) and torch.equal(model(x), logits) and torch.equal(x, kept)
    torch.testing.assert_close(logits, network.eval()(2 * x - 1))
    one = measured(scribbling, images(), tmp_path / "scribbling")
    two = measured(network, images(), tmp_path / "clean", mean=0.5, std=0.5)
    for name in ("score", "gini", "aopc_morf"):
        np.testing.assert_allclose(rows(one)[name].to_numpy(), rows(two)[name].to_numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda x: x.mean((2, 3))[..., None], r"must give logits \(n, classes, at least 2\) .* got \(2, 1, 1\)"),
        (lambda x: {"maps": x, "scores": x}, "a network's output must be logits, got dict of maps"),
        (lambda x: x.flatten(1) / 0, "logits must be finite"),
        (lambda x: x @ torch.ones(3), "fails on images of shape"),
    ],
)
def test_networks_that_are_no_classifiers(answer, sentence):
    class Other(nn.Module):
        forward = staticmethod(answer)

    with pytest.raises(InputError, match=sentence):
        probed(Other(), torch.rand(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mean": 0.5}, "mean and std are given together"),
        ({"mean": (0.5, 0.5), "std": 1}, "one for each of the 1 channels, got 2"),
        ({"classes": ("ant", "bee", "dog")}, "class 'cat' of insects"),
    ],
)
def test_options_that_cannot_be(network, tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        measured(network, images(), tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_what_is_missing_or_too_much(network, tmp_path):
    with pytest.raises(InputError, match="needs dataset"):
        evaluate(network, FEW)
    with pytest.raises(InputError, match="needs out"):
        evaluate(network, images(), FEW)
    with pytest.raises(InputError, match="out is for a network that is a module"):
        evaluate(tmp_path, FEW, out=tmp_path)
    with pytest.raises(InputError, match="must be a run directory or a torch.nn.Module, got function"):
        measured(measured, images(), tmp_path / "run")
    with pytest.raises(InputError, match="dataset must be a pellucid.Data"):
        measured(network, 3, tmp_path / "run")


def test_a_network_is_lent_as_a_copy_to_another_device(network):
    with lent(network, torch.device("meta")) as model:
        assert model is not network and not model.training
        assert next(model.parameters()).device.type == "meta"
    assert next(network.parameters()).device.type == "cpu" and network.training


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    experiment = Experiment(dataset=Data(limit=64), epochs=1, batch_size=32)
    return fit(experiment, tmp_path_factory.mktemp("runs") / "trained", progress=False)


def test_a_trained_network_is_given_back(trained, tmp_path):
    network = pellucid.load(trained)
    assert not network.training and network.classes[0] == "T-shirt/top" and network.shape == (1, 28, 28)
    state = load_file(RunDirectory(trained).weights)
    assert state.keys() == network.state_dict().keys()
    x = torch.rand(2, *network.shape)
    facts = RunDirectory(trained).facts
    torch.testing.assert_close(network(x), network.network((x - facts.mean[0]) / facts.std[0]))
    named = evaluate(trained, FEW, progress=False)
    given = measured(network, Data(), tmp_path / "given")
    assert rows(given).to_pylist() == rows(named).to_pylist()


def test_load_refuses_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match="is not a run directory"):
        pellucid.load(tmp_path)


def test_a_report_of_networks_as_given_and_trained(trained, network, tmp_path):
    evaluate(trained, FEW, progress=False)
    before = measured(pellucid.load(trained), Data(), tmp_path / "before")
    for order in ([before, trained], [trained, before], [before]):
        page = write_report(order, tmp_path / "report.html").read_text()
        assert "As given, not trained" in page


def test_a_network_by_its_name_leaves_a_run_that_can_be_built_again(trained, tmp_path, capsys):
    words = ["--network", "lenet5", "--weights", str(RunDirectory(trained).weights), "--dataset.limit", "64"]
    settings = ["--images=6", "--metrics=clean_accuracy,gini", "--saliency=vanilla_gradient", "--gallery=2"]
    out = tmp_path / "before"
    assert main(["evaluate", *words, "--out", str(out), *settings, "--accelerator=cpu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}\n") and "Gini index" in said, "where it lies, and what was measured"
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(pellucid.load(out)(x), pellucid.load(trained)(x))
    assert main(["evaluate", str(out), *settings]) == 0, "it is evaluated again like any run"
    assert f"{out} was measured before, in the same way; its 6 rows stay" in capsys.readouterr().err
    assert main(["evaluate", *words, "--out", str(out), "--resume", *settings]) == 0
    assert main(["evaluate", *words, "--out", str(trained), *settings]) == 2
    assert "holds a training of lenet5 already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give run directories to measure, or a network with --network"),
        (["--dataset.name=mnist", "runs/a"], "--dataset.name is for --network, which is missing"),
        (["runs/a", "--out", "b"], "--out is for --network"),
        (["--network", "lenet5"], "--out is missing"),
        (
            ["runs/a", "--network", "lenet5", "--out", "b"],
            "give either run directories or --network, got --network and the run runs/a",
        ),
        (["--network", "lenet6", "--out", "b"], "unknown network 'lenet6'"),
        (["runs/a", "--minutes", "0"], "budget must be positive"),
    ],
)
def test_words_that_do_not_go_together(words, sentence, capsys):
    assert main(["evaluate", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_what_the_weights_say_of_pixels_is_believed(network, tmp_path, capsys):
    network.preprocessing = Preprocessing((0.5,), (0.25,), (8, 8), "its trainer")
    said = measured(network, images(), tmp_path / "said")
    given = measured(network, images(), tmp_path / "given", mean=0.5, std=0.25)
    assert rows(said).to_pylist() == rows(given).to_pylist()
    assert "nothing normalises" not in capsys.readouterr().err
    normalised = nn.Sequential(Normalize([0.5], [0.25]), network)
    itself = measured(normalised, images(), tmp_path / "itself")
    assert rows(itself).to_pylist() == rows(given).to_pylist(), "not normalised twice"


def test_logits_are_taken_out_of_what_a_network_gives(network, tmp_path):
    class Several(nn.Module):
        def __init__(self, key):
            super().__init__()
            self.inner, self.key = network, key

        def forward(self, x):
            return {"features": x, self.key: self.inner(x)}

    alone = measured(network, images(), tmp_path / "alone", mean=0.5, std=0.25)
    for key in ("logits", "scores"):
        several = measured(Several(key), images(), tmp_path / key, mean=0.5, std=0.25)
        assert rows(several).to_pylist() == rows(alone).to_pylist()


def test_a_network_as_given_is_measured_on_a_folder_without_splits(tmp_path):
    for number in range(12):
        place = tmp_path / "photographs" / CLASSES[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images(12).image(number)[0].numpy()).save(place / f"{number}.png")
    words = ["--network", "lenet5", "--network.normalize=data", "--dataset.name", "folder", "--dataset.test", "0.5"]
    words += ["--dataset.path", str(tmp_path / "photographs"), "--dataset.size=28", "--dataset.channels=1"]
    words += ["--dataset.validation=1", "--out", str(tmp_path / "before"), "--accelerator=cpu"]
    few = ["--metrics=clean_accuracy,gini", "--saliency=vanilla_gradient", "--gallery=2"]
    assert main(["evaluate", *words, *few]) == 0
    assert rows(tmp_path / "before").num_rows == 6
    assert main(["evaluate", str(tmp_path / "before"), *few]) == 0, "it has learnt nothing of the folder"
