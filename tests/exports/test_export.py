"""What is written gives what the run's network gives, loaded by other means than pellucid's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pellucid import InputError, VanillaGradient, export, heatmap, trust
from pellucid.cli import main
from pellucid.runs.directory import RunDirectory
from pellucid.runs.trained import open_run


def shown(run: Path) -> tuple[nn.Module, Tensor]:
    """The run's network, and images that the export did not look at."""
    model, dataset = open_run(run)
    return model, dataset.take(range(10, 21)).float() / 255


def map_of(model: nn.Module, x: Tensor) -> Tensor:
    return heatmap(VanillaGradient()(model, x, model(x).argmax(1)))


def test_the_state_dict_loads_strictly_into_the_bare_network(small_run: Path, small_export: Path) -> None:
    from pictures_to_export import Small  # type: ignore[import-not-found]

    model, x = shown(small_run)
    said = json.loads((small_export / "preprocessing.json").read_text())
    mean, std = (torch.tensor(said[name]).view(-1, 1, 1) for name in ("mean", "std"))
    files = [
        load_file(small_export / "model.safetensors"),
        load_file(small_export / "huggingface" / "model.safetensors"),
        torch.load(small_export / "model.pt", weights_only=True),
    ]
    for weights in files:
        network = Small(num_classes=3, in_channels=3, width=6).eval()
        network.load_state_dict(weights, strict=True)
        torch.testing.assert_close(network((x - mean) / std), model(x), rtol=0, atol=1e-6)
    assert said["classes"] == ["left", "right", "top|most"] and said["size"] == [8, 8] and said["channels"] == 3
    assert said["changes"] == {"activation": None, "smoothing": None}


def test_onnx_runtime_gives_logits_and_map_of_any_number_of_images(small_run: Path, small_export: Path) -> None:
    model, x = shown(small_run)
    file = small_export / "model.onnx"
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["image"]
    assert {one.shape[0] for one in (*session.get_inputs(), *session.get_outputs())} == {"batch"}
    for images in (x, x[:1], x[:4]):
        logits, drawn = session.run(["logits", "map"], {"image": images.numpy()})
        np.testing.assert_allclose(logits, model(images).detach().numpy(), atol=1e-4)
        np.testing.assert_allclose(drawn, map_of(model, images).numpy(), atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["left", "right", "top|most"]


def test_torch_export_gives_logits_and_map(small_run: Path, small_export: Path) -> None:
    model, x = shown(small_run)
    network = torch.export.load(small_export / "model.pt2").module()
    for images in (x, x[:1]):
        logits, drawn = network(images)
        torch.testing.assert_close(logits, model(images), rtol=0, atol=1e-6)
        torch.testing.assert_close(drawn, map_of(model, images), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_torch_exports_file_needs_no_pellucid(small_export: Path) -> None:
    program = f"""
import sys, warnings
warnings.simplefilter("ignore")
import torch
network = torch.export.load({str(small_export / "model.pt2")!r}).module()
print([tuple(value.shape) for value in network(torch.zeros(4, 3, 8, 8))])
assert not any(name.partition(".")[0] == "pellucid" for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[(4, 3), (4, 8, 8)]\n", "")


def test_a_changed_network_is_loaded_by_the_folders_own_module(changed_run: Path, tmp_path: Path) -> None:
    model, x = shown(changed_run)
    written = {one.path.name: one.about for one in export(changed_run, tmp_path / "out")}
    assert set(written) == {"model.safetensors", "model.pt", "model.py", "preprocessing.json"}
    assert "softplus (beta 4) stands in the place of every ReLU" in written["model.safetensors"]
    assert "a median smoothing block follows relu1, conv2" in written["model.safetensors"]
    torch.save(x, tmp_path / "x.pt")
    (tmp_path / "out" / "lenet.py").write_text(
        """
from torch import nn

class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.relu1, self.relu2, self.relu3, self.relu4 = (nn.ReLU() for _ in range(4))
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 120), nn.Linear(120, 84), nn.Linear(84, 3)

    def forward(self, x):
        x = self.relu2(self.pool2(self.conv2(self.relu1(self.pool1(self.conv1(x))))))
        return self.fc3(self.relu4(self.fc2(self.relu3(self.fc1(x.flatten(1))))))
"""
    )
    program = f"""
import sys
import torch
from lenet import LeNet
from model import load
torch.save(load(LeNet())(torch.load({str(tmp_path / "x.pt")!r})), {str(tmp_path / "y.pt")!r})
assert not any(name.partition(".")[0] == "pellucid" for name in sys.modules)
try:
    LeNet().load_state_dict(torch.load("model.pt"))
except RuntimeError:
    print("the bare network refuses them")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path / "out")
    assert (done.stdout, done.stderr) == ("the bare network refuses them\n", "")
    torch.testing.assert_close(torch.load(tmp_path / "y.pt"), model(x), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("filter", ["gaussian", "mean", "median", "non-local"])
def test_every_smoothing_is_held_by_onnx_with_its_map(changed_run: Path, tmp_path: Path, filter: str) -> None:
    from dataclasses import replace

    from pellucid import Activation, Smoothing, fit
    from pellucid.runs.settings import read_experiment

    base = read_experiment(changed_run)
    experiment = replace(
        base, smoothing=Smoothing(layers=("relu1",), filter=filter), activation=Activation(name="smooth_relu")
    )
    run = fit(experiment, tmp_path / "run", progress=False)
    export(run, tmp_path / "out", ["onnx", "torch_export", "state_dict"], saliency="vanilla_gradient")
    model, x = shown(run)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"])
    logits, drawn = session.run(["logits", "map"], {"image": x.numpy()})
    np.testing.assert_allclose(logits, model(x).detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(drawn, map_of(model, x).numpy(), atol=1e-5)


def test_the_command_says_what_it_wrote_and_replaces_only_exports(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out"
    assert main(["export", str(small_run), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        str(out / name) for name in ("model.safetensors", "model.pt", "preprocessing.json", "model.py")
    ]
    assert "the same predictions on 6 test images" in lines[0]
    before = (out / "model.pt").stat().st_mtime_ns
    assert main(["export", str(small_run), "--out", str(out)]) == 2
    assert "is not empty, it holds 'model.pt'; give another folder, or --replace" in capsys.readouterr().err
    assert (out / "model.pt").stat().st_mtime_ns == before
    assert main(["export", str(small_run), "--out", str(out), "--replace"]) == 0
    assert (out / "model.pt").stat().st_mtime_ns > before
    (out / "thesis.tex").write_text("mine")
    capsys.readouterr()
    assert main(["export", str(small_run), "--out", str(out), "--replace"]) == 2
    assert "holds 'thesis.tex', which no export wrote; --replace replaces only exports" in capsys.readouterr().err
    assert (out / "thesis.tex").read_text() == "mine"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--to", "onnx,tflite"], "formats must be among state_dict, onnx, torch_export, huggingface, got 'tflite'"),
        (["--to", ""], "formats must be among state_dict, onnx, torch_export, huggingface, got 'none'"),
        (["--images", "1"], "images must be at least 2, got 1"),
        (["--tolerance", "-1"], "tolerance must not be negative, got -1"),
        (["--to", "torch_export", "--map", "smoothgrad"], "smoothgrad maps draw random numbers"),
        (["--to", "torch_export", "--map", "scorecam"], "saliency must be"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert main(["export", str(small_run), "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_finished_run_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run directory .*nowhere"):
        export(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(InputError, match="is not a run directory: it has no experiment.yaml"):
        export(tmp_path, tmp_path / "out")
    begun = shutil.copytree(small_run, tmp_path / "begun")
    with pytest.raises(InputError, match=f"it has no experiment.yaml; did you mean {begun}[?]"):
        export(tmp_path, tmp_path / "out")
    RunDirectory(begun).weights.unlink()
    with pytest.raises(InputError, match="as its training is not finished; continue it: pellucid train"):
        export(begun, tmp_path / "out")
    with pytest.raises(InputError, match="is a file; give a folder"):
        export(small_run, small_run / "data.json")
    assert not (tmp_path / "out").exists()


def test_without_images_noise_is_compared_and_told(small_run: Path, tmp_path: Path, monkeypatch) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    RunDirectory(run).maps.unlink()
    written = export(run, tmp_path / "out")
    assert "on 8 test images" in written[0].about
    settings = RunDirectory(run).experiment
    settings.write_text(settings.read_text().replace("pictures_to_export:colour", "pictures_to_export:lost"))
    with trust("pictures_to_export"):  # as nobody's pellucid wrote that file
        written = export(run, tmp_path / "other")
    assert "on 8 images of noise, as the run kept none and its dataset is not here" in written[0].about


def test_another_networks_weights_are_refused_by_a_tolerance_of_nothing(small_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    settings = RunDirectory(run).experiment
    settings.write_text(settings.read_text().replace("width: 6", "width: 4"))
    with trust("pictures_to_export"), pytest.raises(InputError, match="does not fit the network of"):
        export(run, tmp_path / "out")
