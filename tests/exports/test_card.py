"""The Hub's folder: its card is read by the Hub's own library, and says what the run's rows say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from pellucid import export
from pellucid.exports import hub_folder
from pellucid.exports.exported_network import read_network
from pellucid.exports.usage import factory_call
from pellucid.report import read_run, summarise
from pellucid.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def folder(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "out"
    (written,) = export(small_run, out, ["huggingface"], license="apache-2.0")
    assert written.about == "folder for the Hugging Face Hub with a model card"
    return written.path


def test_the_hub_reads_the_card(folder: Path, small_run: Path) -> None:
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0" and card.data.pipeline_tag == "image-classification"
    numbers = {(one.metric_type, one.metric_name): one.metric_value for one in card.data.eval_results}
    summary = summarise(read_run(small_run))
    assert numbers["accuracy", "Accuracy"] == round(summary["clean_accuracy"].mean, 6)
    assert numbers["gini", "Gini index, Vanilla gradient"] == round(summary["gini"].mean, 6)
    assert {one.dataset_name for one in card.data.eval_results} == {"pictures_to_export:colour"}


def test_the_card_says_data_method_numbers_and_limits(folder: Path, small_run: Path) -> None:
    text = (folder / "README.md").read_text()
    facts = RunDirectory(small_run).facts
    assert facts is not None
    assert f"Training images: 21, with the fingerprint `{facts.fingerprint}`" in text
    assert "Classes, in the order of the logits: left, right, top|most" in text
    assert "Method: Regular training" in text and "1 epoch in batches of 7" in text and "seed 0" in text
    run = read_run(small_run)
    right = run.values("prediction") == run.values("label")
    (line,) = (line for line in text.splitlines() if line.startswith("| Are the predictions right? | Accuracy |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    low, high = (float(word) for word in cells[4].split(" to "))
    assert low <= 100 * np.mean(right) <= high and cells[6] == "12"
    assert "Whether the maps depend on what the network has learned was not checked" in text
    assert "nothing of another training with another seed" in text
    assert "torch 2" in text and "No licence" not in text
    assert str(small_run.parent) not in text


def test_the_folder_holds_what_the_hubs_libraries_look_for(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "maps.png", "model.py", "model.safetensors", "preprocessing.json",
        "preprocessor_config.json",
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config["network"] == "pictures_to_export:Small" and config["options"] == {"width": 6}
    assert config["label2id"] == {"left": 0, "right": 1, "top|most": 2}
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    said = json.loads((folder / "preprocessing.json").read_text())
    assert processor["image_mean"] == said["mean"] and processor["size"] == {"shortest_edge": 8}
    with Image.open(folder / "maps.png") as picture:
        assert picture.width > picture.height > 100 or picture.height > picture.width > 100


def test_a_run_that_was_never_measured_has_a_card_that_says_so(changed_run: Path, tmp_path: Path) -> None:
    (written,) = export(changed_run, tmp_path / "out", "huggingface")
    assert "its card has no numbers, as the run was never evaluated and it states no licence" in written.about
    card = ModelCard.load(written.path / "README.md")
    assert card.data.eval_results is None and card.data.license is None
    assert "None: the network was never measured" in card.text
    assert "a median smoothing block follows relu1, conv2" in card.text
    assert "No licence was stated" in card.text
    assert not (written.path / "maps.png").exists()


def test_a_timm_network_has_timms_own_configuration(small_run: Path) -> None:
    exported = read_network(small_run)
    choice = replace(exported.experiment.network, name="timm:resnet18", options={"pretrained": True, "drop_rate": 0.1})
    as_timm = replace(exported, experiment=replace(exported.experiment, network=choice))
    assert hub_folder._library(as_timm) == "timm"
    config = hub_folder._config(as_timm, "timm")
    assert config["architecture"] == "resnet18" and config["model_args"] == {"drop_rate": 0.1}
    assert config["num_classes"] == 3 and config["label_names"] == ["left", "right", "top|most"]
    assert config["pretrained_cfg"]["input_size"] == [3, 8, 8]
    assert (config["pretrained_cfg"]["mean"], config["pretrained_cfg"]["std"]) == exported.normalization
    made, _ = factory_call(as_timm)
    assert made.endswith("timm.create_model('resnet18', num_classes=3, in_chans=3, drop_rate=0.1)")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("torchvision:resnet18", "network = torchvision.models.get_model('resnet18', num_classes=3)"),
        ("resnet18-224", "network = torchvision.models.get_model('resnet18', num_classes=3)"),
        ("lenet5", "network = build(choice, classes=3, shape=(3, 8, 8), mean=(), std=()).network"),
        ("my.package:make", "network = make(...)  # with 3 logits"),
    ],
)
def test_the_card_makes_the_bare_network(small_run: Path, name: str, line: str) -> None:
    exported = read_network(small_run)
    choice = replace(exported.experiment.network, name=name, options={})
    made, _ = factory_call(replace(exported, experiment=replace(exported.experiment, network=choice)))
    assert made.splitlines()[-1] == line


def test_the_cards_lines_make_a_network_that_takes_the_weights(small_run: Path) -> None:
    exported = read_network(small_run)
    choice = replace(exported.experiment.network, name="efficientnet-lite0", options={"pretrained": True})
    as_lite = replace(exported, experiment=replace(exported.experiment, network=choice), shape=(3, 32, 32))
    made: dict = {}
    exec(factory_call(as_lite)[0], made)
    expected = {name: value.shape for name, value in as_lite.bare().state_dict().items()}
    assert {name: value.shape for name, value in made["network"].state_dict().items()} == expected


def test_a_transformers_network_keeps_its_own_configuration(small_run: Path) -> None:
    exported = read_network(small_run)

    class Config:
        def to_json_string(self) -> str:
            return json.dumps({"model_type": "vit", "hidden_size": 8, "id2label": {"0": "LABEL_0"}})

    exported.network.config = Config()
    choice = replace(exported.experiment.network, name="huggingface:someone/vit")
    as_hub = replace(exported, experiment=replace(exported.experiment, network=choice))
    assert hub_folder._library(as_hub) == "transformers"
    config = hub_folder._config(as_hub, "transformers")
    assert config["model_type"] == "vit" and config["architectures"] == ["Small"]
    assert config["id2label"] == {"0": "left", "1": "right", "2": "top|most"}


def test_words_of_others_do_no_harm(small_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    facts = RunDirectory(run).data
    told = json.loads(facts.read_text())
    facts.write_text(json.dumps(told | {"classes": ["<script>", "b\n## c", "d|e"], "name": "[x](y)"}))
    (written,) = export(run, tmp_path / "out", ["huggingface"])
    text = (written.path / "README.md").read_text()
    assert "<script>" not in text and "\n## c" not in text and "\\[x\\](y)" in text
    assert ModelCard.load(written.path / "README.md").data.tags[-1] == "pellucid"
