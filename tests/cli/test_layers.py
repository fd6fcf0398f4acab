"""``pellucid layers``: the table, the layer that is taken, a run, and mistakes."""

import json

import pytest

from pellucid.cli import main

FACTORY = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, num_classes, in_channels, twice=False):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 4, 2, stride=2)
        self.pool = nn.MaxPool2d(2)
        self.twice = twice
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.block = nn.Module()
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        x = self.pool(self.stem(x))
        x = self.pool(x) if self.twice else x
        tokens = torch.cat([self.token.expand(len(x), 1, 4), x.flatten(2).transpose(1, 2)], 1)
        tokens = self.norm(tokens)
        return self.head((tokens + self.attention(tokens, tokens, tokens)[0])[:, 0])


def dense(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * 64, num_classes))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny_with_layers.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_table_of_a_convolutional_network(capsys):
    assert main(["layers", "lenet5", "--size=28", "--channels=1", "--classes=10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lenet5 on images of 1 × 28 × 28:"
    assert [line.split() for line in [lines[1], *lines[3:]]] == [
        ["layer", "kind", "feature", "map", "smoothing", "CAM"],
        ["conv1", "Conv2d", "6", "×", "24", "×", "24", "fits", "fits"],
        ["pool1", "MaxPool2x2", "6", "×", "12", "×", "12", "fits", "fits"],
        ["relu1", "ReLU", "6", "×", "12", "×", "12", "fits", "fits"],
        ["conv2", "Conv2d", "16", "×", "8", "×", "8", "fits", "fits"],
        ["pool2", "MaxPool2x2", "16", "×", "4", "×", "4", "fits", "fits"],
        ["relu2", "ReLU", "16", "×", "4", "×", "4", "fits", "taken"],
    ]


def test_tokens_attention_and_a_layer_that_is_used_twice(here, capsys):
    words = ["layers", "tiny_with_layers:Tiny", "--size=16", "--classes=3"]
    assert main([*words, "--format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["shape"], told["attention"]) == ([3, 16, 16], ["attention"])
    rows = {row["name"]: (row["map"], row["smoothing"], row["cam"]) for row in told["layers"]}
    assert rows == {
        "stem": ("4 × 8 × 8", True, "fits"),
        "pool": ("4 × 4 × 4", True, "fits"),
        "norm": ("4 × 4 × 4, tokens after 1 without a place", True, "taken"),
        "attention": ("4 × 4 × 4, tokens after 1 without a place", False, "fits"),
    }
    assert main([*words, '--options={"twice": true}']) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "attention rollout: attention"
    assert next(line for line in out.splitlines() if line.startswith("pool")).split()[-2:] == ["–", "fits"]


def test_depth_and_a_network_without_maps(here, capsys):
    assert main(["layers", "resnet18", '--options={"width": 2}', "--size=16", "--classes=3", "--depth=1"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:]]
    assert names[-4:] == ["layer1", "layer2", "layer3", "layer4"] and not any("." in name for name in names)
    assert main(["layers", "tiny_with_layers:dense", "--size=8", "--classes=3"]) == 0
    assert capsys.readouterr().out.endswith("no layer gives a feature map of more than one row and column\n")


def test_a_run_brings_its_network(here, capsys):
    flags = ["--dataset.limit=32", "--batch_size=32", "--epochs=1", "--accelerator=cpu", "--smoothing.layers=[relu1]"]
    assert main(["train", "run", *flags]) == 0
    assert "run: smoothing after relu1 (6 × 12 × 12)" in capsys.readouterr().err
    assert main(["layers", "run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("run on images of 1 × 28 × 28:\n") and "taken" in out
    assert [line.split()[:2] for line in out.splitlines()[5:7]] == [["relu1.layer", "ReLU"], ["relu1", "Smoothed"]]
    assert main(["layers", "run", "--size=32"]) == 2
    assert "run is a run, which has its own network" in capsys.readouterr().err


def test_nothing_is_said_of_answers_that_nobody_looks_at(capsys):
    assert main(["layers", "lenet5", "--size=28", "--channels=1"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lenet9"], "unknown network 'lenet9', did you mean lenet5?"),
        (["lenet5", "--options=3"], "options must be a JSON object"),
        (["lenet5", "--size=0"], "size must be at least 1, got 0"),
        (["lenet5", "--format=xml"], "format must be text or json, got 'xml'"),
        (["lenet5", "--size=8"], "lenet5 needs images of at least 16 × 16 pixels, got 8 × 8"),
    ],
)
def test_mistakes_are_one_sentence(capsys, words, sentence):
    assert main(["layers", *words]) == 2
    assert sentence in capsys.readouterr().err
