"""What the runs of a paper's table share: the images, the network, how it is trained and measured, at one scale."""

from dataclasses import dataclass, replace
from pathlib import Path

from pellucid.attacks import PGD
from pellucid.core.errors import InputError
from pellucid.data import Data
from pellucid.data.config import usual_eps
from pellucid.models import Network
from pellucid.papers.plan import IMAGE_FOLDERS, SCALES, Scale, known
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment, Optimizer, Schedule
from pellucid.saliency import IntegratedGradients, SaliencyMethod, SmoothGrad, VanillaGradient

__all__ = ["DATASETS", "GREY", "TRAINING_IMAGES", "Setting", "setting"]

TRAINING_IMAGES = {
    "fashion-mnist": 60_000, "mnist": 60_000, "cifar10": 50_000, "imagenette": 9_469, "pcam": 262_144,
    "imagenet": 1_281_167,
}  # fmt: skip
"""How many each dataset has, those for validation included."""
DATASETS = tuple(TRAINING_IMAGES)
GREY = ("fashion-mnist", "mnist")
"""Datasets of grey pictures on black."""
PAPERS_EPS = {"mnist": 0.2, "imagenette": 4 / 255, "pcam": 4 / 255, "imagenet": 4 / 255}
"""Radii of an attack in the papers' tables where they are not `usual_eps`, in pixel units: on MNIST the .2 of Guesmi et
al. 2024, on larger pictures the 4/255 that is usual on ImageNet."""
KEPT = {"cifar10": 5000, "imagenette": 1000, "imagenet": 50_000}
"""How many training images of a folder are kept for validation, where it has no such images beside test ones."""
SIDES = {"fashion-mnist": 28, "mnist": 28, "cifar10": 32, "imagenette": 96, "pcam": 96, "imagenet": 224}
"""Of the pictures, in pixels."""
REGIONS = {28: 2, 32: 2, 96: 8, 224: 16}
"""Sides of SCAAT's regions by the picture's, in pixels."""
STAGES = {
    "lenet5": "relu1", "sgt-mnist": "pool1", "wrn28-10": "block1", "vgg16": "features.4", "vgg16-224": "features.4",
    "vgg16-bn": "features.6", "vgg16-bn-224": "features.6",
}  # fmt: skip
"""The end of a network's first stage, where the smoothing block goes; ``layer1`` of others, as ResNets call it."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a paper's runs on one dataset have in common at one scale; a paper's tables are functions of it.

    Args:
        dataset: one of `DATASETS`, also where its images are a folder's.
        scale: ``smoke``, ``cpu`` or ``full``.
        path: folder of the dataset's files, as asked for.
        network: another network than the dataset's usual one, as asked for; None for that one.
        trace: JSON file of a user's own search, for tables that one has chosen.
        base: the experiment, whose method and smoothing a table replaces.
        evaluation: what is measured; a table chooses the metrics.
        eps: usual radius of an attack, in pixel units.
        region: side of SCAAT's regions in pixels.
        stage: name of the first stage of the network, whose output is smoothed.
        steps: most steps of an attack.
        maps: vanilla gradient, SmoothGrad and integrated gradients.
    """

    dataset: str
    scale: Scale
    path: str | None = None
    network: str | None = None
    trace: Path | None = None
    base: Experiment
    evaluation: Evaluation
    eps: float
    region: int
    stage: str
    steps: int
    maps: tuple[SaliencyMethod, SaliencyMethod, SaliencyMethod] = (
        VanillaGradient(),
        SmoothGrad(),
        IntegratedGradients(),
    )

    def pgd(self, eps: float, steps: int, step_size: float) -> PGD:
        """An attack with as many of its steps as the scale allows, which then are longer."""
        taken = min(steps, self.steps)
        return PGD(eps=eps, step_size=min(eps, step_size * steps / taken), steps=taken)

    def with_network(self, network: str | None) -> "Setting":
        """The same images at the same scale with another network; with the dataset's usual one where it is None."""
        return setting(self.dataset, self.scale, path=self.path, network=network)


def setting(
    dataset: str, scale: Scale, *, path: str | None = None, network: str | None = None, trace: Path | None = None
) -> Setting:
    """Data, network and optimizer for a dataset.

    ``smoke`` shows in seconds that everything runs. ``cpu`` takes minutes a run on two cores: all of Fashion-MNIST or
    MNIST for 5 epochs with LeNet-5; of colour images, and of any with a larger network, at most 10 000 for 10 epochs,
    an eighth of a ResNet's width, 200 images measured; attacks of at most 5 steps in training; of images of 96 pixels
    ResNet-18 has ImageNet's stem, which keeps a quarter of the side. ``full`` has all images, the whole network and a
    usual recipe for it. The papers' own optimizers, schedules and sizes differ among each other and from
    their code, and are not followed: Adam with one cycle (40 epochs) for grey images, SGD with a cosine for colour
    ones; Imagenette has 96 pixels.

    Args:
        dataset: one of `DATASETS`.
        scale: ``smoke``, ``cpu`` or ``full``.
        path: folder of the dataset's files; of ``imagenette``, ``imagenet`` and other copies of ``cifar10`` an image
            folder, PATH/train/CLASS/* and PATH/test/CLASS/* (or val).
        network: another network than the dataset's usual one.
        trace: JSON file of a user's own search, for tables that one has chosen.

    Raises:
        InputError: an unknown dataset or scale, or a dataset that needs a path.

    >>> setting("fashion-mnist", "cpu").base.network.name
    'lenet5'
    """
    known("dataset", dataset, DATASETS)
    known("scale", scale, SCALES)
    if dataset in ("imagenette", "imagenet") and path is None:
        raise InputError(f"{dataset} needs --path, a folder of train/CLASS and test/CLASS (or val/CLASS) images")
    grey, side = dataset in GREY, SIDES[dataset]
    folder = path is not None and dataset in IMAGE_FOLDERS
    data = Data(
        name="folder" if folder else dataset,
        path=path,
        size=side if folder else None,
        augmentation={"cifar10": "crop-flip"}.get(dataset, "default"),
        validation=KEPT[dataset] if folder else 5000,
    )
    usual = {"fashion-mnist": "lenet5", "mnist": "sgt-mnist", "imagenet": "resnet18-224"}
    if scale == "cpu":
        usual |= {"mnist": "lenet5", "pcam": "resnet18-224", "imagenette": "resnet18-224"}
    name = network or usual.get(dataset, "resnet18")
    chosen = Network(name=name, normalize=not grey)
    if grey:
        base = Experiment(dataset=data, network=chosen, epochs=40 if scale == "full" else 5)
    else:
        sgd = Optimizer(name="sgd", lr=0.1, weight_decay=5e-4, nesterov=True)
        epochs = {"cifar10": 100, "imagenette": 100, "pcam": 20, "imagenet": 90}[dataset]
        base = Experiment(
            dataset=data, network=chosen, optimizer=sgd, schedule=Schedule(name="cosine"), epochs=epochs,
            channels_last=True,
        )  # fmt: skip
    at = Setting(
        dataset=dataset, scale=scale, path=path, network=network, trace=trace, base=base, evaluation=Evaluation(),
        eps=PAPERS_EPS.get(dataset, usual_eps(data.name)), region=REGIONS[side], stage=STAGES.get(name, "layer1"),
        steps={"smoke": 1, "cpu": 5, "full": 40}[scale],
    )  # fmt: skip

    def narrow(width: int) -> Network:
        return replace(chosen, options={"width": width} if name.startswith(("resnet18", "vgg16")) else {})

    if scale == "cpu":
        # results/raw/learning-rate-*.md
        base = replace(base, optimizer=Optimizer(lr=0.01), schedule=Schedule())
        if name in ("lenet5", "sgt-mnist"):
            return replace(at, base=base)
        # Those of Imagenette are fewer than 10 000.
        few = replace(data, limit=None if dataset == "imagenette" else 10_000)
        base = replace(base, dataset=few, network=narrow(8), epochs=10, channels_last=True)
        return replace(at, base=base, evaluation=Evaluation(images=200))
    if scale == "smoke":
        few = replace(data, limit=64, validation=16 if folder else 64)
        base = Experiment(dataset=few, network=narrow(4), epochs=1, batch_size=32)
        return replace(
            at,
            base=base,
            evaluation=Evaluation(images=6, steps=2, repeats=1, draws=2, gallery=2),
            maps=(VanillaGradient(), SmoothGrad(samples=2), IntegratedGradients(steps=3)),
        )
    return at
