"""The examples of docs/idioms.md: what people do in other libraries, done with pellucid.

Each is a few lines that end with something that must hold. `START` comes before all of them.
"""

from dataclasses import dataclass

START = """\
import torch

import pellucid

torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(784, 10))
images, labels = torch.rand(16, 1, 16, 16), torch.arange(16) % 10
"""


@dataclass(frozen=True, kw_only=True)
class Idiom:
    """One example.

    Attributes:
        library: whose idiom it is.
        does: what a reader wants to do, as the words of the table.
        needs: packages that have to be importable.
        code: the lines, of which the last is an assertion.
    """

    library: str
    does: str
    code: str
    needs: tuple[str, ...] = ()


RUN = """\
data = torch.utils.data.TensorDataset(images, labels)
few = pellucid.Evaluation(metrics=("gini",), images=16, gallery=2)
run = pellucid.evaluate(network, data, few, out="runs/mine", classes=list("abcdefghij"), mean=0.0, std=1.0)
"""
TRAINED = """\
from pathlib import Path

import numpy as np
from PIL import Image

for split in ("train", "test"):
    for name in ("dark", "bright"):
        folder = f"photos/{split}/{name}"
        Path(folder).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(np.full((28, 28), 20 * i + 90 * (name == "bright"), np.uint8)).save(f"{folder}/{i}.png")
"""
EXPERIMENT = """\
experiment = pellucid.Experiment(
    dataset=pellucid.Data(name="folder", path="photos", channels=1, validation=4),
    network=pellucid.Network(name="lenet5"),
    epochs=1,
    batch_size=8,
)
"""

IDIOMS = (
    Idiom(
        library="plain PyTorch",
        does="train in a loop of your own",
        code="""\
objective = pellucid.Objective(network, pellucid.SCAAT(), num_samples=16, total_steps=2)
optimizer = torch.optim.Adam(network.parameters())
for index in torch.arange(16).split(8):
    optimizer.zero_grad()
    objective(images[index], labels[index], index)["loss"].backward()
    optimizer.step()
assert int(objective.state.updates) > 0
""",
    ),
    Idiom(
        library="Lightning Fabric",
        does="train in a loop with `fabric.setup`",
        needs=("lightning_fabric",),
        code="""\
from lightning_fabric import Fabric

fabric = Fabric(accelerator="cpu", devices=1)
objective = pellucid.Objective(network, pellucid.SaliencyGuided(), num_samples=16, total_steps=1)
wrapped, optimizer = fabric.setup(objective, torch.optim.Adam(network.parameters()))
loss = wrapped(images, labels, torch.arange(16))["loss"]
fabric.backward(loss)
optimizer.step()
assert loss.isfinite()
""",
    ),
    Idiom(
        library="Lightning",
        does="train in a `Trainer`",
        needs=("lightning",),
        code="""\
import lightning
from torch.utils.data import DataLoader, TensorDataset

from pellucid.integrations.lightning import Indexed, LightningObjective

batches = DataLoader(Indexed(TensorDataset(images, labels)), batch_size=8)
objective = pellucid.Objective(network, pellucid.SCAAT(), num_samples=16, total_steps=2)
trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.fit(LightningObjective(objective), batches)
assert trainer.callback_metrics["loss"].isfinite()
""",
    ),
    Idiom(
        library="Hugging Face Trainer",
        does="train in a `Trainer`",
        needs=("transformers", "accelerate"),
        code="""\
from transformers import Trainer, TrainingArguments


class SaliencyTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **_):
        losses = model(inputs["image"], inputs["labels"], inputs["index"])
        return (losses["loss"], losses) if return_outputs else losses["loss"]


items = [{"image": images[i], "labels": labels[i], "index": i} for i in range(16)]
objective = pellucid.Objective(network, pellucid.SCAAT(), num_samples=16, total_steps=2)
arguments = TrainingArguments(
    "out",
    per_device_train_batch_size=8,
    num_train_epochs=1,
    remove_unused_columns=False,
    report_to="none",
    save_strategy="no",
    use_cpu=True,
)
trainer = SaliencyTrainer(objective, arguments, train_dataset=items)
trainer.train()
assert trainer.state.global_step == 2
""",
    ),
    Idiom(
        library="Hugging Face models",
        does="explain an `AutoModelForImageClassification`",
        needs=("transformers",),
        code="""\
from transformers import AutoModelForImageClassification, ViTConfig

config = ViTConfig(
    image_size=16,
    patch_size=4,
    num_channels=1,
    hidden_size=16,
    num_labels=10,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
)
model = AutoModelForImageClassification.from_config(config)
(card,) = pellucid.explain(model, images[0], mean=0.5, std=0.5)
assert card.judgement.sentence
""",
    ),
    Idiom(
        library="Hugging Face Hub",
        does="write a folder for the Hub with a model card",
        code=TRAINED
        + EXPERIMENT
        + """\
run = pellucid.fit(experiment, "runs/trained")
(written,) = pellucid.export(run, "hub", ("huggingface",))
assert (written.path / "README.md").exists() and (written.path / "model.safetensors").exists()
""",
    ),
    Idiom(
        library="ONNX Runtime",
        does="run an exported network",
        needs=("onnx", "onnxruntime", "onnxscript"),
        code=TRAINED
        + EXPERIMENT
        + """\
import onnxruntime

run = pellucid.fit(experiment, "runs/trained")
(written,) = pellucid.export(run, "out", ("onnx",))
session = onnxruntime.InferenceSession(written.path)
(logits,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 1, 28, 28), np.float32)})
assert logits.shape == (1, 2)
""",
    ),
    Idiom(
        library="TensorBoard",
        does="watch a training",
        needs=("tensorboard",),
        code=TRAINED
        + EXPERIMENT
        + """\

run = pellucid.fit(experiment, "runs/trained", log="tensorboard")
assert list(Path(run).glob("log/**/events.out.tfevents.*"))
""",
    ),
    Idiom(
        library="Weights & Biases",
        does="watch a training",
        needs=("wandb",),
        code=TRAINED
        + EXPERIMENT
        + """\
import os

os.environ["WANDB_MODE"] = "offline"
run = pellucid.fit(experiment, "runs/trained", log="wandb")
assert list(Path(run).glob("log/wandb/**/*.wandb"))
""",
    ),
    Idiom(
        library="pandas",
        does="read the rows of a run",
        needs=("pandas",),
        code=RUN
        + """\
import pandas as pd

rows = pd.read_parquet(run / "rows.parquet")
assert len(rows) == 16 and rows["gini"].between(0, 1).all()
""",
    ),
    Idiom(
        library="Captum",
        does="use a method of Captum's as a map",
        needs=("captum",),
        code="""\
from captum.attr import InputXGradient

saliency = pellucid.as_saliency(InputXGradient)
assert saliency(network, images, labels).shape == images.shape
""",
    ),
    Idiom(
        library="Captum",
        does="use a map of pellucid's as a Captum attribution",
        needs=("captum",),
        code="""\
from captum.attr import NoiseTunnel

from pellucid.integrations.captum import SaliencyAttribution

tunnel = NoiseTunnel(SaliencyAttribution(network, "vanilla_gradient"))
assert tunnel.attribute(images, nt_samples=2, target=labels).shape == images.shape
""",
    ),
    Idiom(
        library="Quantus",
        does="call measures as Quantus does",
        needs=("quantus",),
        code="""\
import quantus

from pellucid.integrations.quantus import ExplainFunc, RelativeInputStability

ours = {"RIS": RelativeInputStability(draws=2)}
scores = quantus.evaluate(
    metrics=ours,
    xai_methods={"gradient": ExplainFunc("vanilla_gradient")},
    model=network.eval(),
    x_batch=images.numpy(),
    y_batch=labels.numpy(),
    explain_func_kwargs={},
)
assert len(scores["gradient"]["RIS"]) == 16
""",
    ),
    Idiom(
        library="pytorch-grad-cam",
        does="use one of its maps, with its target layers",
        needs=("pytorch_grad_cam",),
        code="""\
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget


def grad_cam(model, x, target):
    with GradCAM(model=model, target_layers=[model[1]]) as cam:
        return torch.from_numpy(cam(input_tensor=x, targets=[ClassifierOutputTarget(int(one)) for one in target]))


saliency = pellucid.as_saliency(grad_cam)
assert pellucid.heatmap(saliency(network, images, labels)).shape == (16, 16, 16)
""",
    ),
    Idiom(
        library="torchmetrics",
        does="measure in a `MetricCollection`",
        needs=("torchmetrics",),
        code="""\
from torchmetrics import MetricCollection

from pellucid.integrations.torchmetrics import Gini, Hoyer

metrics = MetricCollection([Gini(), Hoyer()])
metrics.update(heatmap=pellucid.heatmap(pellucid.VanillaGradient()(network, images, labels)))
assert 0 < metrics.compute()["Gini"] < 1
""",
    ),
    Idiom(
        library="torchattacks",
        does="attack a network with one of its attacks",
        needs=("torchattacks",),
        code="""\
import torchattacks

attacked = torchattacks.PGD(network.eval(), eps=0.1, alpha=0.05, steps=3)(images, labels)
theirs = network(attacked).argmax(1) == labels
assert (attacked - images).abs().max() < 0.101 and theirs.shape == (16,)
""",
    ),
    Idiom(
        library="timm",
        does="explain one of its networks, with its weights' own normalisation",
        needs=("timm",),
        code="""\
import timm

model = timm.create_model("resnet10t", pretrained=False)
(card,) = pellucid.explain(model, torch.rand(3, 64, 64))
assert card.judgement.sentence
""",
    ),
    Idiom(
        library="torchvision",
        does="explain one of its networks",
        needs=("torchvision",),
        code="""\
import torchvision

model = torchvision.models.resnet18(num_classes=10)
(card,) = pellucid.explain(model, torch.rand(3, 64, 64), mean=0.5, std=0.25)
assert card.judgement.sentence
""",
    ),
    Idiom(
        library="MONAI",
        does="measure on its datasets of dictionaries",
        needs=("monai",),
        code="""\
from monai.data import Dataset


class Pairs(torch.utils.data.Dataset):
    classes = list("abcdefghij")

    def __init__(self, dictionaries):
        self.dictionaries = dictionaries

    def __len__(self):
        return len(self.dictionaries)

    def __getitem__(self, i):
        return self.dictionaries[i]["image"], self.dictionaries[i]["label"]


data = Pairs(Dataset([{"image": image, "label": int(label)} for image, label in zip(images, labels)]))
few = pellucid.Evaluation(metrics=("gini",), images=16, gallery=2)
run = pellucid.evaluate(network, data, few, out="runs/mine", mean=0.0, std=1.0)
assert (run / "rows.parquet").exists()
""",
    ),
)
