"""A stranger's file runs nothing: names outside pellucid are refused before any of their code is imported."""

import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from PIL import Image

from pellucid import Evaluation, Experiment, InputError, Network, trust
from pellucid.cli import main
from pellucid.config import import_name, read_config, to_config, write_yaml
from pellucid.config.own_files import notes_file
from pellucid.config.trusted import carried, command_line, is_import_path
from pellucid.data import load
from pellucid.models.network import build
from pellucid.tuning.tune import Decisions

OWN = """
from dataclasses import dataclass
from os import system
import pathlib
import shutil
import torch
import pellucid
pathlib.Path({marker!r}).touch()

class Net(torch.nn.Module):
    def __init__(self, num_classes=10, in_channels=1):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, num_classes))
    def forward(self, x):
        return self.body(x)

@dataclass(frozen=True, kw_only=True)
class Mine(pellucid.Regular):
    amount: float = 0.5

class Peak(pellucid.Metric):
    columns = {{"peak": pellucid.Column(title="Peak")}}
    def __call__(self, case):
        return {{"peak": case.heatmap.amax((1, 2))}}

def grad(model, x, target):
    return x

def images(split):
    raise KeyError(split)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder that holds a module of its own name, whose import leaves a mark; the module's name, and the mark."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name, marker = f"own_{tmp_path.name.strip('_')}", tmp_path / "imported"
    (tmp_path / f"{name}.py").write_text(OWN.format(marker=str(marker)))
    yield name, marker
    sys.modules.pop(name, None)


def written(kind, place, value, folder):
    """A file of settings in which a stranger has put a value at a place."""
    config = to_config(kind) if not isinstance(kind, dict) else kind
    at = config
    *way, last = place
    for part in way:
        at = at[part]
    at[last] = value
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


PLACES = [
    (Experiment(), ("method",), "{class_path: NAME.Mine, init_args: {}}", Experiment),
    (Experiment(), ("method",), "{class_path: 'NAME:Mine'}", Experiment),
    (Experiment(), ("method",), "NAME.Mine", Experiment),
    (Experiment(), ("network", "name"), "NAME:Net", Experiment),
    (Experiment(), ("network", "name"), "NAME.Net", Experiment),
    (Experiment(), ("dataset", "name"), "NAME:images", Experiment),
    (Experiment(), ("optimizer",), "{class_path: NAME.Mine}", Experiment),
    (Experiment(), ("activation",), "{class_path: NAME.Mine}", Experiment),
    (Experiment(), ("smoothing",), "{class_path: NAME.Mine}", Experiment),
    (Experiment(), ("schedule",), "{class_path: NAME.Mine}", Experiment),
    (Experiment(), ("method",), "{class_path: AdversarialTraining, init_args: {attack: {class_path: NAME.Mine}}}",
     Experiment),
    (Evaluation(), ("metrics",), "[default, NAME.Peak]", Evaluation),
    (Evaluation(), ("metrics",), "[{class_path: NAME.Peak}]", Evaluation),
    (Evaluation(), ("saliency",), "[vanilla_gradient, NAME.grad]", Evaluation),
    (Evaluation(), ("saliency",), "[{class_path: 'NAME:grad', init_args: {x: 1}}]", Evaluation),
    ({"plan": {"photos": "x"}}, ("plan", "network"), "NAME:Net", Decisions),
    ({"plan": {"photos": "x", "network": "timm:a"}}, ("plan", "metrics"), "[gini, NAME.Peak]", Decisions),
]  # fmt: skip


@pytest.mark.parametrize(("made", "place", "value", "kind"), PLACES)
def test_a_name_outside_pellucid_is_refused_before_it_is_imported(made, place, value, kind, own, tmp_path):
    name, marker = own
    sys.path.append(str(tmp_path))
    file = written(made, place, yaml.safe_load(value.replace("NAME", name)), tmp_path)
    with pytest.raises(InputError, match=rf"settings.yaml names '{name}[.:].*give --trust {name}, in Python pellucid"):
        read_config(file, kind)
    assert not marker.exists() and name not in sys.modules


@pytest.mark.parametrize("named", ["os.system", "os:system", "subprocess.Popen", "builtins.exec", "timm.models:x",
                                   "pickle:loads", "torch.hub:load", "importlib:import_module"])  # fmt: skip
def test_what_is_imported_already_is_refused_as_well(named, tmp_path):
    for made, place, value, kind in (
        (Experiment(), ("network", "name"), named, Experiment),
        (Experiment(), ("dataset", "name"), named, Experiment),
        (Experiment(), ("method",), {"class_path": named, "init_args": {"command": "touch pwned"}}, Experiment),
        (Evaluation(), ("saliency",), [named], Evaluation),
    ):
        with pytest.raises(InputError, match=r"not part of pellucid,? and was not imported.*--trust"):
            read_config(written(made, place, value, tmp_path), kind)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "named",
    ["pellucid.config.files:yaml.unsafe_load", "pellucid.core.files:os.system", "pellucid.core.files:tempfile.mkdtemp",
     "pellucid:config.files.json.loads"],
)  # fmt: skip
def test_pellucid_is_no_way_round(named, tmp_path):
    for made, place, kind in (
        (Experiment(), ("network", "name"), Experiment),
        (Experiment(), ("dataset", "name"), Experiment),
        (Evaluation(), ("saliency",), Evaluation),
    ):
        file = written(made, place, [named] if kind is Evaluation else named, tmp_path)
        with pytest.raises(InputError, match="not part of pellucid"):
            read_config(file, kind)


def test_a_function_of_pellucid_that_makes_no_network_is_none(tmp_path, monkeypatch):
    """`pellucid.cli:main` with words of the stranger's choice would be a command typed by nobody."""
    called = []
    monkeypatch.setattr(sys.modules["pellucid.cli.main"], "main", called.append)
    for named in ("pellucid.cli.main:main", "pellucid.core.files.whole_file", "pellucid.demo:demo"):
        file = written(Experiment(), ("network", "name"), named, tmp_path)
        experiment = read_config(file, Experiment)
        network = replace(experiment.network, options={"arguments": ["train"]})
        with pytest.raises(InputError, match=r"must name a torch.nn.Module or a function that is declared to return"):
            build(network, classes=2, shape=(1, 8, 8), mean=[0.5], std=[0.5])
        dataset = written(Experiment(), ("dataset", "name"), named, tmp_path)
        with pytest.raises(InputError, match=r"must name a class of torch.utils.data.Dataset"):
            load(read_config(dataset, Experiment).dataset, "train")
    assert called == []


def test_networks_of_pellucid_by_their_import_path_are_its_own(tmp_path):
    file = written(Experiment(), ("network", "name"), "pellucid.models.lenet:LeNet5", tmp_path)
    assert read_config(file, Experiment).network.name == "pellucid.models.lenet:LeNet5"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("trust_remote_code", True), ("checkpoint_path", "x"), ("pretrained_cfg", {"file": "x"}),
        ("weights_only", False), ("weights_only", 0), ("weights_only", None), ("weights_only", "x"),
        ("attn_implementation", "somebody/kernel"), ("allow_all_kernels", True),
    ],
)  # fmt: skip
def test_options_that_let_packages_run_code(option, value, tmp_path):
    for source in ("timm:resnet18", "huggingface:some/model"):
        plain = to_config(Experiment(network=Network(name=source)))
        file = written(plain, ("network", "options"), {option: value}, tmp_path)
        with pytest.raises(InputError, match=f"gives network.options.{option}, by which .* give --trust timm or"):
            read_config(file, Experiment)
        with trust("huggingface"):
            assert read_config(file, Experiment).network.options == {option: value}
        made = Experiment(network=Network(name=source, options={option: value}))
        write_yaml(made, file)
        assert read_config(file, Experiment) == made, "what this user has written is the user's own"


def test_the_same_options_where_they_run_nothing(tmp_path):
    harmless = {"weights_only": True, "trust_remote_code": False, "attn_implementation": "sdpa", "pretrained_cfg": None}
    plain = to_config(Experiment(network=Network(name="huggingface:some/model")))
    file = written(plain, ("network", "options"), harmless, tmp_path)
    assert read_config(file, Experiment).network.options == harmless


def test_trust_lets_a_package_in_for_as_long_as_it_is_given(own, tmp_path):
    name, marker = own
    sys.path.append(str(tmp_path))
    file = written(Experiment(), ("method",), {"class_path": f"{name}.Mine", "init_args": {"amount": 2}}, tmp_path)
    with trust(name):
        assert read_config(file, Experiment).method.amount == 2
    assert marker.exists()
    with pytest.raises(InputError, match=f"--trust {name}"):
        read_config(file, Experiment)
    with trust("another", f"{name}.part"), pytest.raises(InputError, match=f"--trust {name}"):
        read_config(file, Experiment)


def test_a_trusted_package_does_not_pass_on_what_it_imports(own, tmp_path):
    name, _ = own
    sys.path.append(str(tmp_path))
    with trust(name):
        for value in (f"{name}:system", f"{name}:shutil.os.popen"):
            with pytest.raises(InputError, match=r"names '(posix|nt|os)\.\w+'.* is of Python's own library"):
                read_config(written(Experiment(), ("network", "name"), value, tmp_path), Experiment)
        with pytest.raises(InputError, match="which is a module"):
            read_config(written(Experiment(), ("network", "name"), f"{name}:pathlib", tmp_path), Experiment)


@pytest.mark.parametrize("package", ["", "my package", "my_package:Net", "../x", "1st", "a..b", 3])
def test_what_is_no_name_of_a_package_cannot_be_trusted(package):
    with pytest.raises(InputError, match="a package to trust is named like my_package or my_package.networks, got"):
        trust(package)


@pytest.mark.parametrize("package", ["os", "subprocess", "builtins", "importlib.util", "pathlib"])
def test_nobody_is_led_to_trust_the_library_of_python(package):
    with pytest.raises(InputError, match=f"'{package}' is of Python's own library, by which a file could do anything"):
        trust(package)
    assert main(["layers", "lenet5", "--trust", package]) == 2


def test_what_the_users_own_process_wrote_is_read_again(own, tmp_path):
    name, _ = own
    sys.path.append(str(tmp_path))
    made = Experiment(network=Network(name=f"{name}:Net"), method=import_name(f"{name}.Mine")(amount=3))
    write_yaml(made, tmp_path / "experiment.yaml")
    assert read_config(tmp_path / "experiment.yaml", Experiment) == made
    copy = tmp_path / "copy.yaml"
    copy.write_bytes((tmp_path / "experiment.yaml").read_bytes())
    assert read_config(copy, Experiment) == made, "a copy is the same file"
    copy.write_text(copy.read_text().replace("amount: 3", "amount: 4"))
    with pytest.raises(InputError, match=f"--trust {name}"):
        read_config(copy, Experiment)


def test_a_note_is_of_the_code_that_was_there(own, tmp_path, monkeypatch):
    """Who unpacks a folder beside a module of the same name gets his own module, or a refusal; never the stranger's."""
    name, marker = own
    sys.path.append(str(tmp_path))
    write_yaml(Experiment(network=Network(name=f"{name}:Net")), tmp_path / "experiment.yaml")
    sys.path.remove(str(tmp_path))
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / f"{name}.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')")
    monkeypatch.chdir(hostile)
    monkeypatch.setattr("pellucid.config.own_files.NOTED", {})
    with command_line(hostile):
        sys.path.insert(0, str(hostile))
        with pytest.raises(InputError, match=f"--trust {name}"):
            read_config(tmp_path / "experiment.yaml", Experiment)
        sys.path.remove(str(hostile))
        experiment = read_config(tmp_path / "experiment.yaml", Experiment)
        assert import_name(experiment.network.name).__module__ == name
    assert marker.exists() and not (tmp_path / "pwned").exists()


def test_notes_are_private_and_a_damaged_one_says_nothing(own, tmp_path, monkeypatch):
    name, _ = own
    monkeypatch.setenv("PELLUCID_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("pellucid.config.own_files.NOTED", {})
    sys.path.append(str(tmp_path))
    write_yaml(Experiment(), tmp_path / "plain.yaml")
    assert not notes_file().exists(), "nothing is noted of a file that names pellucid alone"
    write_yaml(Experiment(network=Network(name=f"{name}:Net")), tmp_path / "experiment.yaml")
    assert notes_file().stat().st_mode & 0o077 == 0
    monkeypatch.setattr("pellucid.config.own_files.NOTED", {})
    with trust("other"):
        assert read_config(tmp_path / "experiment.yaml", Experiment).network.name == f"{name}:Net"
    line = notes_file().read_text()
    for damaged in (line[:-20], line.replace("names", "nemas"), "", "\0\xff"):
        notes_file().write_text(damaged, encoding="latin-1")
        with command_line(tmp_path), pytest.raises(InputError, match=f"--trust {name}"):
            read_config(tmp_path / "experiment.yaml", Experiment)


def test_a_home_that_takes_no_file_is_no_mistake(own, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PELLUCID_STATE", str(tmp_path / "file" / "state"))
    sys.path.append(str(tmp_path))
    made = Experiment(network=Network(name=f"{own[0]}:Net"))
    write_yaml(made, tmp_path / "experiment.yaml")
    assert read_config(tmp_path / "experiment.yaml", Experiment) == made, "this process still knows"


def test_processes_of_a_pool_know_what_the_user_has_named(own):
    with trust(own[0]):
        work = pickle.loads(pickle.dumps(carried(is_import_path)))
    assert work.folders[own[0]] is None and work("a.b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("lenet5", False), ("timm:resnet18.a1_in1k", False), ("truth:shapes", False), ("object:a.b.Net", False),
     ("huggingface:a/b.c", False),
     ("my:Net", True), ("my.Net", True), ("timm.models:x", True), ("os.system", True), ("gini", False)],
)  # fmt: skip
def test_which_words_name_code(text, expected):
    assert is_import_path(text) is expected


# From the command line


def pellucid(*words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", *map(str, words)], cwd=cwd, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


TINY = ["--dataset.limit=32", "--batch_size=16", "--epochs=1", "--accelerator=cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, of which a stranger could have made a copy with other settings."""
    path = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", str(path), *TINY]) == 0
    assert main(["evaluate", str(path), "--images=4", "--saliency=vanilla_gradient", "--metrics=gini"]) == 0
    return path


COMMANDS = {
    "evaluate": ["evaluate", "RUN", "--images=4", "--accelerator=cpu", "--overwrite"],
    "explain": ["explain", "RUN", "picture.png"],
    "resume": ["train", "RUN", "--resume", "--accelerator=cpu"],
    "export": ["export", "RUN", "--out", "exported"],
    "layers": ["layers", "RUN"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("method",), {"class_path": "os.system", "init_args": {"command": "touch pwned"}}),
        (("network",), {"name": "os:system", "options": {"command": "touch pwned"}}),
        (("dataset",), {"name": "here_is_code:images"}),
    ],
)
def test_no_command_runs_what_a_run_directory_names(command, place, value, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, tmp_path / "got")
    (tmp_path / "here_is_code.py").write_text("open('pwned', 'w')\n")
    config = yaml.safe_load((run / "experiment.yaml").read_text())
    written(config, place, value, tmp_path).replace(tmp_path / "got" / "experiment.yaml")
    words = [word.replace("RUN", "got") for word in COMMANDS[command]]
    assert main(words) == 2
    sentence = capsys.readouterr().err
    assert "experiment.yaml names" in sentence and "--trust" in sentence and "Traceback" not in sentence
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("command", ["report", "compare", "check"])
def test_what_shows_results_asks_no_code_of_a_run(command, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, tmp_path / "got")
    config = yaml.safe_load((run / "experiment.yaml").read_text())
    value = {"class_path": "os.system", "init_args": {"command": "touch pwned"}}
    written(config, ("method",), value, tmp_path).replace(tmp_path / "got" / "experiment.yaml")
    words = {"report": ["--out=page.html"], "compare": [], "check": ["--baseline=got", "--require=gini>=-1"]}[command]
    assert main([command, "got", *words]) == (1 if command == "check" else 0)
    assert not (tmp_path / "pwned").exists()


def test_an_evaluation_of_a_stranger_runs_nothing(run, tmp_path, monkeypatch, capsys):

    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, tmp_path / "got")
    Image.new("L", (28, 28)).save("picture.png")
    config = yaml.safe_load((run / "evaluation.yaml").read_text())
    written(config, ("metrics",), ["here_is_code.Peak"], tmp_path).replace(tmp_path / "got" / "evaluation.yaml")
    (tmp_path / "here_is_code.py").write_text("open('pwned', 'w')\n")
    assert main(["explain", "got", "picture.png"]) == 2
    assert "evaluation.yaml names 'here_is_code.Peak' at metrics[0]" in capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()


def test_a_file_of_settings_is_a_strangers_and_typed_words_are_the_users(own, tmp_path, capsys):
    name, marker = own
    (tmp_path / "settings.yaml").write_text(f"method: {{class_path: {name}.Mine, init_args: {{amount: 0.25}}}}\n")
    words = ["train", "run", "--config=settings.yaml", "--print_config"]
    assert main(words) == 2
    assert f"settings.yaml names '{name}.Mine' at method" in capsys.readouterr().err and not marker.exists()
    more = ["--trust", "other", "--trust", name]
    for given in (["--trust", name], [f"--trust={name}"], more, [f"--method={name}.Mine"]):
        with pytest.raises(SystemExit, match="0"):
            main([*words, *given])
        assert yaml.safe_load(capsys.readouterr().out)["method"]["init_args"]["amount"] == 0.25
    (tmp_path / "settings.yaml").write_text(f"trust: {name}\nmethod: {name}.Mine\n")
    assert main(words) == 2, "a file cannot ask to be trusted"
    assert main(["evaluate", "--config=settings.yaml", "--out=x"]) == 2
    (tmp_path / "settings.yaml").write_text("network: os:system\n")
    assert main(["evaluate", "--config=settings.yaml", "--out=x", "--dataset.name=fashion-mnist"]) == 2
    assert "settings.yaml names 'os:system' at network" in capsys.readouterr().err


@pytest.mark.parametrize(
    "form", ["--method={name}.Mine", "--method={name}:Mine", "--method={{class_path: {name}.Mine}}"]
)
def test_every_form_of_a_typed_name_is_the_users(form, own, capsys):
    name, _ = own
    with pytest.raises(SystemExit, match="0"):
        main(["train", "run", "--print_config", form.format(name=name)])
    assert f"{name}.Mine" in capsys.readouterr().out


@pytest.mark.slow
def test_own_code_from_the_first_command_to_the_last(own, tmp_path):
    """Trained by a typed name, the run is read without a word; somebody else needs the option that is named."""
    name, marker = own
    train = ["train", "run", *TINY, f"--network.name={name}:Net", f"--method={name}.Mine"]
    code, _, error = pellucid(*train, cwd=tmp_path)
    assert code == 0, error
    measured = ["--images=4", "--saliency=vanilla_gradient", f"--metrics=gini,{name}.Peak"]
    assert pellucid("evaluate", "run", *measured, cwd=tmp_path)[0] == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert pellucid("layers", "../run", cwd=elsewhere)[0] == 0, "from any folder, as the code is where it was"
    marker.unlink()
    os.environ["PELLUCID_STATE"], before = str(tmp_path / "another user"), os.environ["PELLUCID_STATE"]
    try:
        code, _, error = pellucid("layers", "run", cwd=tmp_path)
        assert code == 2 and f"--trust {name}" in error and not marker.exists()
        assert pellucid("layers", "run", "--trust", name, cwd=tmp_path)[0] == 0
    finally:
        os.environ["PELLUCID_STATE"] = before


def test_the_current_folder_takes_no_package_s_place(run, tmp_path):
    for shadow in ("yaml", "torch", "pyarrow", "platformdirs", "numpy", "safetensors", "csv", "json"):
        (tmp_path / f"{shadow}.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    code, _, error = pellucid("compare", run, cwd=tmp_path)
    assert code == 0, error
    assert not (tmp_path / "pwned").exists()
