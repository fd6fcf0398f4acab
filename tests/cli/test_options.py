"""How the words of a command become settings."""

import sys
from pathlib import Path

import pytest

from pellucid import (
    PGD,
    SCAAT,
    Activation,
    AdversarialTraining,
    Evaluation,
    Experiment,
    InputError,
    Regular,
    SmoothGrad,
    Smoothing,
)
from pellucid.cli import main
from pellucid.cli.options import Parser, add_engine, engine


def parse(*words: str, settings: str = "pellucid.Experiment"):
    parser = Parser("train", "Train.", settings=settings, config=True)
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    return parser.parse(["run", *words])


@pytest.mark.parametrize(
    ("words", "experiment"),
    [
        ([], Experiment()),
        (["--batch_size", "64", "--epochs=2"], Experiment(batch_size=64, epochs=2)),
        (["--batch-size", "64"], Experiment(batch_size=64)),
        (["--channels_last"], Experiment(channels_last=True)),
        (["--channels_last", "--resume"], Experiment(channels_last=True)),
        (["--method", "SCAAT", "--method.q", ".3"], Experiment(method=SCAAT(q=0.3))),
        (["--method.q", ".3", "--method", "SCAAT"], Experiment(method=SCAAT(q=0.3))),
        (["--method.init_args.q", ".3", "--method", "pellucid.methods.SCAAT"], Experiment(method=SCAAT(q=0.3))),
        (["--method", "SCAAT", "--method.q=.3", "--method", "Regular"], Experiment(method=Regular())),
        (
            ["--method=AdversarialTraining", "--method.attack.eps", "8/255"],
            Experiment(method=AdversarialTraining(attack=PGD(eps=8 / 255, step_size=2 / 255, steps=7))),
        ),
        (
            ["--method={class_path: SCAAT, init_args: {q: 0.3}}", "--method.saliency=SmoothGrad"],
            Experiment(method=SCAAT(q=0.3, saliency=SmoothGrad())),
        ),
        (
            ["--smoothing.layers=pool1,pool2", "--smoothing.sigma", "feature-map"],
            Experiment(smoothing=Smoothing(layers=("pool1", "pool2"), sigma="feature-map")),
        ),
        (["--smoothing.layers=pool1", "--smoothing=null"], Experiment()),
        (["--activation.name=silu", "--activation.beta", "3"], Experiment(activation=Activation(name="silu", beta=3))),
        (["--activation.name=gelu"], Experiment(activation=Activation(name="gelu"))),
    ],
)
def test_flags(words, experiment):
    assert parse(*words)[0] == experiment


def test_files_and_flags_override_each_other_in_order(tmp_path):
    first, second = str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml")
    Path(first).write_text("{epochs: 2, seed: 3, optimizer: {lr: 0.1, name: sgd}, method: {class_path: SCAAT}}")
    Path(second).write_text("{seed: 4, optimizer: {lr: 0.2}}")
    made, _ = parse("--seed=1", "--config", first, f"--config={second}", "--epochs", "7", "--method.q", ".3")
    assert (made.epochs, made.seed, made.optimizer.lr, made.optimizer.name) == (7, 4, 0.2, "sgd")
    assert made.method == SCAAT(q=0.3)


def test_own_options_are_no_settings():
    made, parsed = parse("--resume")
    assert (made, parsed.resume, parsed.given) == (Experiment(), True, False)
    assert parse("--seed=0")[1].given


def test_lists_and_texts():
    made, _ = parse(
        "--metrics", "gini,,ris", "--saliency=[smoothgrad]", "--layer", "a,,b", settings="pellucid.Evaluation"
    )
    assert made == Evaluation(metrics=("gini", "ris"), saliency=("smoothgrad",), layer="a,,b")


def test_a_file_may_hold_the_commands_own_options(tmp_path):
    (tmp_path / "old.yaml").write_text("epochs: 3\ndevices: 2\nsnapshots: 4\nresume: true\nlog: null\n")
    parser = Parser("train", "Train.", settings="pellucid.Experiment", config=True)
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--log")
    parser.add_argument("--snapshots", default=0, type=int)
    add_engine(parser)
    experiment, parsed = parser.parse(["run", "--snapshots", "5", "--config", str(tmp_path / "old.yaml")])
    assert (experiment.epochs, parsed.snapshots, parsed.resume, parsed.log) == (3, 5, True, None)
    assert engine(parsed)["devices"] == 2


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_settings_are_printed_of_no_run(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--print_config"])  # the underscore of before still works
    assert "\nseed: 0\n" in capsys.readouterr().out
    assert main([command]) == 2


def test_what_is_printed_is_a_config(capsys, tmp_path):
    with pytest.raises(SystemExit) as done:
        parse("--method=SCAAT", "--method.attack.eps=0.1", "--print-config")
    assert done.value.code == 0
    (tmp_path / "settings.yaml").write_text(capsys.readouterr().out)
    made, _ = parse(f"--config={tmp_path / 'settings.yaml'}")
    assert made.method == SCAAT(attack=PGD(eps=0.1, step_size=4 / 255, steps=4))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--resum"], "unrecognized arguments: --resum, did you mean --resume\\? See `pellucid train --help`"),
        (["--epoch", "3"], "unrecognized arguments: --epoch 3, did you mean --epochs\\? See `pellucid train --help`"),
        (["--epochs"], "epochs must be a whole number, got True"),
        (["more"], "unrecognized arguments: more; see `pellucid train --help`"),
        (["--method.attack.eps", "0.1"], r"method \(Regular\) has no field 'attack'"),
        (["--method", "os.system"], "method must be a pellucid.Method, got os.system"),
        (["--config"], "--config needs the path of a file, got none"),
        (["--config", "."], ". is a folder, which cannot be read; give a file"),
        (["--optimizer", "sgd"], "optimizer must be given by its fields name, lr, .*, got 'sgd'"),
    ],
)
def test_mistakes(words, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(*words)


def test_a_file_that_is_no_mapping(tmp_path):
    file = tmp_path / "settings.yaml"
    for text, sentence in (("- 1", "must hold settings by name"), ("{", "cannot be read as YAML")):
        file.write_text(text)
        with pytest.raises(InputError, match=sentence):
            parse(f"--config={file}")


def test_settings_of_a_users_own_class(tmp_path, monkeypatch):
    (tmp_path / "own_settings.py").write_text(
        "from dataclasses import dataclass\nfrom pellucid import Regular\n\n@dataclass(frozen=True)\n"
        "class Mine(Regular):\n    amount: float = 0.1\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    made, _ = parse("--method=own_settings:Mine", "--method.amount=1e-3")
    assert type(made.method).__name__ == "Mine" and made.method.amount == 1e-3
    file = tmp_path / "settings.yaml"
    file.write_text("method: {class_path: 'own_settings:Mine', init_args: {amount: 0.5}}\n")
    made, _ = parse("--config", str(file), "--method=own_settings.Mine")
    assert made.method.amount == 0.5, "the same class, named again, keeps its settings"
