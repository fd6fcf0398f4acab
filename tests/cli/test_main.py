"""What a person types, and the one sentence they get for a mistake."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from torch import nn

from pellucid import (
    SCAAT,
    Activation,
    AdversarialTraining,
    Data,
    Experiment,
    GradientPenalty,
    Regular,
    SaliencyGuided,
    SmoothGrad,
    Smoothing,
    fgsm,
)
from pellucid.cli import COMMANDS, main
from pellucid.config import to_config
from pellucid.runs import load_network
from pellucid.runs.settings import read_experiment

TINY = ["--dataset.limit=64", "--batch_size=32", "--epochs=1", "--accelerator=cpu"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def trained(*flags):
    assert main(["train", "run", *TINY, *flags]) == 0
    return read_experiment("run")


def test_a_resumed_run_keeps_what_is_not_given(here, capsys):
    begun = trained("--seed=3")
    assert main(["train", "run", "--resume", "--seed=3", "--accelerator=cpu"]) == 0
    assert read_experiment("run") == begun
    capsys.readouterr()
    for word, sentence in (
        (
            "--epochs=5",
            "run was begun with another epochs: 1 there, 5 asked for; leave the settings out",
        ),
        ("--method=SCAAT", "run was begun with another method: pellucid.methods.Regular there"),
        ("--optimizer.lr=0.5", "run was begun with another optimizer.lr: "),
    ):
        assert main(["train", "run", "--resume", word]) == 2
        assert sentence in capsys.readouterr().err


def test_train_evaluate_compare_report(here, capsys):
    assert main(["train", "runs/one", *TINY]) == 0
    assert main(["train", "runs/two", *TINY, "--method=SaliencyGuided", "--smoothing.layers=[relu1]"]) == 0
    measured = ["--images=12", "--saliency=[vanilla_gradient,smoothgrad]", "--gallery=4", "--steps=4", "--repeats=1"]
    assert main(["evaluate", "runs/one", "runs/two", *measured]) == 0
    capsys.readouterr()
    assert main(["compare", "runs/one", "runs/two", "--format", "json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert {name: (run["method"], run["smoothing"]) for name, run in table.items()} == {
        "one": ("Regular", None),
        "two": ("SaliencyGuided", "gaussian"),
    }
    names = {"clean_accuracy", "robust_accuracy", "gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "aopc_rel"}
    suffixed = {f"{name}/smoothgrad" for name in names - {"clean_accuracy", "robust_accuracy"}}
    for run in table.values():
        assert set(run["metrics"]) == names | {"ris", "ros", "stability_coverage"} | suffixed
        assert all(set(value) == {"mean", "low", "high", "n"} for value in run["metrics"].values())
    assert table["one"]["metrics"]["clean_accuracy"]["n"] == 12
    for form in ("text", "csv", "latex", "markdown"):
        assert main(["compare", "runs/one", "runs/two", "--format", form, "--metrics", "gini,ris"]) == 0
        assert "one" in capsys.readouterr().out
    assert main(["report", "runs/one", "runs/two", "--out", "report.html"]) == 0
    assert "</html>" in (here / "report.html").read_text()


ONE_STEP = ["--method.attack.eps=0.1", "--method.attack.step_size=0.1", "--method.attack.steps=1"]
SMOOTHED = ["--method.saliency=SmoothGrad", "--method.saliency.samples=2"]
FLAGS = [
    (["--method=SCAAT", *ONE_STEP, "--method.share=0.5"], SCAAT(attack=fgsm(eps=0.1), share=0.5)),
    (["--method=SCAAT", *SMOOTHED], SCAAT(saliency=SmoothGrad(samples=2))),
    (["--method=SaliencyGuided", *ONE_STEP, "--method.reading=B"], SaliencyGuided(attack=fgsm(eps=0.1), reading="B")),
    (
        ["--method=GradientPenalty", "--method.norm=l2", "--method.method=SCAAT", "--method.method.share=0.5"],
        GradientPenalty(norm="l2", method=SCAAT(share=0.5)),
    ),
]


@pytest.mark.parametrize(("flags", "method"), FLAGS)
def test_flags_are_the_dataclasses(here, flags, method):
    assert trained(*flags).method == method


@pytest.mark.parametrize(("flags", "method"), FLAGS)
def test_yaml_and_flags_are_the_same_thing(here, capsys, flags, method):
    with pytest.raises(SystemExit) as done:
        main(["train", "run", *TINY, *flags, "--print_config"])
    assert done.value.code == 0
    (here / "settings.yaml").write_text(capsys.readouterr().out)
    assert trained("--config=settings.yaml", "--seed=3") == Experiment(
        dataset=Data(limit=64), batch_size=32, epochs=1, method=method, seed=3
    )


def test_an_attack_that_cannot_reach_its_radius_is_told(here, capsys):
    options = ["--method=AdversarialTraining", "--method.attack.eps=0.1", "--method.attack.steps=2"]
    trained(*options)
    said = capsys.readouterr().err
    assert "note: attack takes 2 steps of 0.00784, which do not reach eps 0.1; step_size does not follow eps" in said
    assert main(["train", "other", *TINY, *options, "--method.attack.step_size=0.05"]) == 0
    assert "note" not in capsys.readouterr().err


def test_a_runs_own_experiment_is_a_config(here):
    first = trained("--method=SCAAT", "--smoothing.layers=[relu1]", "--smoothing.filter=mean")
    assert main(["train", "again", "--config=run/experiment.yaml", "--accelerator=cpu"]) == 0
    assert read_experiment("again") == first
    assert first.smoothing == Smoothing(layers=("relu1",), filter="mean")
    assert main(["train", "changed", "--config=run/experiment.yaml", "--method=Regular"]) == 0
    assert read_experiment("changed").method == Regular()


def test_an_activation_is_an_option_like_smoothing_and_loads_back(here, capsys):
    first = trained("--activation.name", "softplus", "--activation.beta", "8", "--smoothing.layers=[relu1]")
    assert first.activation == Activation(name="softplus", beta=8)
    network = load_network("run").network
    assert [network.relu1.layer.activation, network.relu4.activation] == [first.activation] * 2
    assert not any(isinstance(module, nn.ReLU) for module in network.modules())
    assert main(["evaluate", "run", "--images=8", "--metrics=sparsity"]) == 0
    capsys.readouterr()
    assert main(["compare", "run"]) == 0
    assert "Regular + softplus 8 + gaussian" in capsys.readouterr().out
    assert main(["report", "run", "--out", "report.html"]) == 0
    assert "softplus for ReLU, β\u00a08" in (here / "report.html").read_text()


def test_another_method_over_a_config_takes_nothing_of_the_old_ones_options(here):
    trained("--method=SaliencyGuided", *ONE_STEP)
    config = "--config=run/experiment.yaml"
    assert main(["train", "at", config, "--method=AdversarialTraining"]) == 0
    assert read_experiment("at").method == AdversarialTraining()
    assert main(["train", "same", config, "--method", "SaliencyGuided", "--method.weight=2"]) == 0
    assert read_experiment("same").method == replace(read_experiment("run").method, weight=2)


def test_a_printed_config_does_not_name_the_run(here, capsys):
    with pytest.raises(SystemExit):
        main(["train", "first", *TINY, "--resume", "--print_config"])
    (here / "settings.yaml").write_text(capsys.readouterr().out)
    assert main(["train", "second", "--config=settings.yaml", "--accelerator=cpu"]) == 0
    assert read_experiment("second").dataset.limit == 64 and not (here / "first").exists()


OWN = """
from dataclasses import dataclass
import torch
from torch import nn
from pellucid import Method

@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Method):
    amount: float = 0.1
    def loss(self, model, batch, state, *, generator=None):
        return {"loss": nn.functional.cross_entropy(model(batch.image), batch.label, label_smoothing=self.amount)}

class Plain(Method):
    def __init__(self, amount: float = 0.1):
        self.amount = amount
    def loss(self, model, batch, state, *, generator=None):
        return {"loss": model(batch.image).sum()}

def linear(num_classes, in_channels, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(784 * in_channels, num_classes, bias=bias))

def brightness(model, x, target):
    return x
"""


def test_a_users_own_method_network_and_saliency(here, capsys):
    (here / "mine_of_a_user.py").write_text(OWN)
    experiment = trained(
        "--method=mine_of_a_user.LabelSmoothing",
        "--method.amount=0.2",
        "--network.name=mine_of_a_user:linear",
        '--network.options={"bias": false}',
    )
    assert main(["train", "plain", *TINY, "--method=mine_of_a_user.Plain"]) == 2
    assert "Plain must be a dataclass, so that its settings can be written" in capsys.readouterr().err
    assert experiment.method.amount == 0.2 and experiment.network.options == {"bias": False}
    assert main(["evaluate", "run", "--images=4", "--saliency=[mine_of_a_user.brightness]", "--stability=[]"]) == 0
    assert main(["train", "masked", *TINY, "--method=SCAAT", "--method.saliency=mine_of_a_user.brightness"]) == 0


def test_help_says_everything_and_loads_no_torch(here, capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    code = "import sys; from pellucid.cli import main; sys.argv = ['pellucid', '--help']\ntry: main()\n"
    code += "except SystemExit: pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert "--method" in text and "--optimizer.lr" in text and "--dataset.validation" in text


def test_data_list_and_get(here, capsys):
    assert main(["data", "list"]) == 0
    assert "fashion-mnist" in capsys.readouterr().out
    assert main(["data", "get", "fashion-mnist"]) == 0
    assert os.path.isdir(capsys.readouterr().out.strip())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("teach", "unknown command 'teach'; there are demo, doctor"),
        ("trian run", "unknown command 'trian', did you mean train\\?"),
        ("study analyse x", "unknown action 'analyse' of `pellucid study`, did you mean analyze\\?"),
        ("train", "the following arguments are required: RUN; see `pellucid train --help`"),
        (
            "train run --method SCAT",
            "method must be one of .*Regular, .*SaliencyGuided, .*got 'SCAT', did you mean SCAAT",
        ),
        ("train run --method scaat", "got 'scaat', did you mean SCAAT"),
        ("train run --method no.such.Thing", "method: cannot import 'no.such.Thing': No module named 'no'"),
        ("train run --method SCAAT --method.q 3", r"q must be in \[0, 1\], got 3"),
        ("train run --method SCAAT --method.attack.eps 8", r"eps must be in \[0, 1\], got 8; it is in pixel units"),
        ("train run --method.q .5", r"method \(Regular\) has no field 'q'; it has none"),
        ("--resume train run", "the command comes first, got '--resume' before 'train'"),
        ("train run --optimizer.weight_decay -1", "weight_decay must not be negative, got -1"),
        ("train run --dataset.limit 64 --batch_size 32 --epochs 1 --schedule.warmup .5", "warmup 0.5 of 2 steps"),
        ("train run --method SCAAT --method.region 64", "region must leave several regions of 28 × 28 pixels, got 64"),
        ("train run --optimizer.lr fast", "optimizer.lr must be a number, got 'fast'"),
        ("train run --optimizer.name lion", "optimizer.name must be one of adam, adamw, sgd, got 'lion'"),
        ("train run --smoothing gaussian", "smoothing must be given by its fields layers, filter, .*got 'gaussian'"),
        (
            "train run --smoothing.layers [pool1] --smoothing.filter box",
            "smoothing.filter must be one of gaussian, .*, got 'box'",
        ),
        ("train run --smoothing.layers [pool9]", "no layer 'pool9' to smooth, did you mean"),
        ("train run --activation.name tanh", "activation.name must be one of softplus, silu, gelu, smooth_relu, got"),
        ("train run --activation.beta 0", "beta of the activation must be a positive number, got 0.0"),
        ("train run --nonsense 3", "unrecognized arguments: --nonsense 3"),
        ("train run --lr 0.1", "unrecognized arguments: --lr 0.1, did you mean --optimizer.lr\\?"),
        ("tune photos", "the following arguments are required: --network; see `pellucid tune --help`"),
        ("tune photos --network lenet5 --resume", "unrecognized arguments: --resume; see `pellucid tune --help`"),
        (
            "tune photos --network lenet5 --test 30",
            r"test must be a share of the photographs in \(0, 1\), such as",
        ),
        (
            "train run --dataset.path here --dataset.size 28",
            "got size 28.*; for pictures of your own, name is folder",
        ),
        ("report nowhere --out page.pdf", "a report is a page, whose name ends in .html; got page.pdf"),
        ("train run --config nothing.yaml", "cannot read the file of --config, nothing.yaml: No such file"),
        ("train run --network.name lenet6", "unknown network 'lenet6', did you mean lenet5"),
        ("train run --network.name nowhere.at_all:net", "nowhere"),
        ("train run --network.weights nothing.pt", "nothing.pt"),
        ("train run --dataset.name fashion-mnits", "unknown dataset 'fashion-mnits', did you mean 'fashion-mnist'"),
        ("train run --dataset.path nowhere", "nowhere"),
        ("train run --dataset.limit 10", "batch_size must be at most the 10 images"),
        ("train run --dataset.validation 60000", "60000"),
        ("train run --epochs -1", "epochs must be at least 0, got -1"),
        ("train run --devices many", "devices must be a number or auto, got 'many'"),
        ("train run --strategy fsdp", "strategy must be one of .*, got 'fsdp'"),
        ("evaluate nowhere", "nowhere is not a run directory"),
        ("evaluate", "give run directories to measure, or a network with --network"),
        ("evaluate run --images none", "images must be a whole number, got 'none'"),
        ("evaluate run --robust_eps nan", "^pellucid: robust_eps must be a number, got 'nan'$"),
        ("evaluate run --robust_eps=.nan", r"robust_eps must be in \[0, 1\], the range of pixels, got nan"),
        ("evaluate run --robust_grid .1,x", r"robust_grid\[1\] must be a number, got 'x'$"),
        ("evaluate run --robust_grid .1,2", r"robust_grid must hold rising radii above 0 and at most 1, got"),
        ("evaluate run --metrics ,", "metrics must name at least one"),
        ("evaluate run --metrics [gini,{]", r"metrics must be a list, such as '\[a, b\]', got \[gini,\{\]$"),
        ("compare nowhere", "no run directory .*nowhere"),
        ("compare nowhere --format xml", "nowhere"),
        ("report nowhere", "no run directory .*nowhere"),
        ("data get imagenet", "unknown dataset 'imagenet'"),
        ("data fetch mnist", "takes `get NAME` or `list`, got 'fetch mnist'"),
        ("demo --quik", "unrecognized arguments: --quik, did you mean --quick\\? See `pellucid demo --help`"),
        ("compare run --metric gini", "unrecognized arguments: --metric gini, did you mean --metrics\\?"),
        ("compare run --formt=csv", "unrecognized arguments: --formt=csv, did you mean --format\\?"),
        ("completion tcsh", "shell must be one of bash, zsh, fish, got 'tcsh'"),
        ("doctor --format yaml", "format must be text or json, got 'yaml'"),
    ],
)
def test_mistakes_get_one_sentence(here, capsys, words, sentence):
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("pellucid: ")
    assert re.search(sentence, err), err
    assert not list(here.iterdir()), "nothing half-written"


def test_the_same_names_through_configs(here):
    config = to_config(Experiment(method=SCAAT()))
    config["method"]["init_args"]["divergense"] = "kl"
    (here / "settings.yaml").write_text(yaml.safe_dump(config))
    assert main(["train", "run", "--config=settings.yaml"]) == 2


def test_interrupts_and_closed_pipes_are_no_tracebacks():
    command = f"{sys.executable} -m pellucid data list | head -n 0"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
