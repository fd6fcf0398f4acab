"""What a paper's table is made of: runs, what is measured of them, what the paper found, and what it claims."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from pellucid.attacks import PGD
from pellucid.core.errors import InputError
from pellucid.data import Data
from pellucid.models import Network
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment, Optimizer, Schedule
from pellucid.saliency import IntegratedGradients, SaliencyMethod, SmoothGrad, VanillaGradient

__all__ = [
    "BACKGROUND",
    "DATASETS",
    "NOISE",
    "SCALES",
    "TRAINING_IMAGES",
    "Claim",
    "Figure",
    "Scale",
    "Setting",
    "Table",
    "setting",
    "slug",
    "source",
    "where",
]

Figure = Literal["decay", "entropy", "masking", "radius", "maps", "q"]
Scale = Literal["smoke", "cpu", "full"]
SCALES: tuple[Scale, ...] = get_args(Scale)
DATASETS = ("fashion-mnist", "mnist", "cifar10", "imagenette", "pcam", "imagenet")
TRAINING_IMAGES = {
    "fashion-mnist": 60_000, "mnist": 60_000, "cifar10": 50_000, "imagenette": 9_469, "pcam": 262_144,
    "imagenet": 1_281_167,
}  # fmt: skip
"""How many each dataset has, those for validation included."""
FOLDERS = ("cifar10", "imagenette", "imagenet")
"""Those that a path makes an image folder."""
BACKGROUND = (
    "The pictures' background is black: integrated gradients, which are multiplied by the picture, are 0 there, so "
    "that LeRF covers it with noise first and MoRF last, whatever it means to the network."
)
"""What a table on grey images says of maps that are multiplied by the picture."""
NOISE = (
    "LeRF and MoRF cover pixels with uniform noise, which is what SGT's training fills with: a part of its low LeRF is "
    "tolerance of that noise."
)
"""What a table says that holds SGT against others by these measures."""
KEPT = {"cifar10": 5000, "imagenette": 1000, "imagenet": 50_000}
"""How many training images of a folder are kept for validation, where it has no such images beside test ones."""
STAGES = {
    "lenet5": "pool1", "sgt-mnist": "pool1", "wrn28-10": "block1", "vgg16": "features.4", "vgg16-224": "features.4",
    "vgg16-bn": "features.6", "vgg16-bn-224": "features.6",
}  # fmt: skip
"""The end of a network's first stage; ``layer1`` of others, as ResNets call it."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence that numbers can confirm or refute: how one run's number lies to another's.

    Args:
        text: the sentence.
        metric: name, as in `pellucid compare`, or ``time``.
        run: the run it speaks of.
        baseline: the run it is held against; none where the run's own number is.
        kind: ``difference``, run minus baseline; ``factor``, run by baseline; ``typical``, the geometric mean over
            images of run by baseline, for numbers whose mean a few images decide; ``value`` without a baseline;
            ``correlation``, of the metric ``q`` or ``q_within_class`` without a baseline: how it goes with the
            background of training pictures, of all or of those of one class.
        low: the least difference or factor that the claim allows; none where it has no lower bound.
        high: the greatest.
        eps: of robust accuracy, the radius of ``robust_grid`` that it is at; that of the table's column by default.
        from_clean: of accuracies while pixels are masked, take what is lost from the clean accuracy of the same images.
        whose: ``paper``, a sentence of the paper; ``ours``, a bound or a control of ours.
    """

    text: str
    metric: str
    run: str
    baseline: str = ""
    kind: Literal["difference", "factor", "typical", "value", "correlation"] = "difference"
    low: float | None = None
    high: float | None = None
    eps: float | None = None
    from_clean: bool = False
    whose: Literal["paper", "ours"] = "ours"

    def __post_init__(self) -> None:
        if self.from_clean and (self.kind != "difference" or not self.metric.startswith("road_")):
            raise InputError(
                f"from_clean is of differences of road_morf or road_lerf, got {self.kind} of {self.metric}"
            )


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table or figure of a paper.

    Args:
        paper: name of the recipe.
        number: such as ``1``, or ``ablation-eps``.
        dataset: one of `DATASETS`.
        title: what it shows.
        runs: experiments by name; the seed of each is replaced.
        evaluation: what is measured of every network.
        metrics: the columns.
        published: numbers of the paper by run and metric, in the units in which they are stored.
        published_on: dataset and network of those, where they are not the table's own.
        claims: what is checked.
        group: tables of one group share their networks, and are measured alike; the table's number by default.
        time: whether the time of a training step, as a multiple of the first run's, is a column.
        figures: what is drawn below it: ``decay``, lost confidence while regions are replaced; ``entropy``, the maps'
            distribution; ``masking``, accuracy while pixels are masked; ``radius``, accuracy under attack by radius;
            ``maps``, a few test pictures under every network; ``q``, the training pictures with the extremes of q.
        notes: sentences that its numbers need, such as where the recipe departs from the paper.
    """

    paper: str
    number: str
    dataset: str
    title: str
    runs: Mapping[str, Experiment]
    evaluation: Evaluation
    metrics: tuple[str, ...]
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    published_on: str = ""
    claims: tuple[Claim, ...] = ()
    group: str = ""
    time: bool = False
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a paper's runs on one dataset have in common at one scale.

    Args:
        dataset: one of `DATASETS`, also where its images are a folder's.
        base: the experiment but for its method and smoothing.
        evaluation: what is measured but for the metrics.
        eps: usual radius of an attack, in pixel units.
        region: side of SCAAT's regions in pixels.
        stage: name of the first stage of the network, whose output is smoothed.
        steps: most steps of an attack.
        maps: vanilla gradient, SmoothGrad and integrated gradients.
    """

    dataset: str
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


def setting(dataset: str, scale: Scale, *, path: str | None = None, network: str | None = None) -> Setting:
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

    Raises:
        InputError: an unknown dataset or scale, or a dataset that needs a path.

    >>> setting("fashion-mnist", "cpu").base.network.name
    'lenet5'
    """
    if dataset not in DATASETS:
        raise InputError(f"dataset must be one of {', '.join(DATASETS)}, got {dataset!r}")
    if scale not in SCALES:
        raise InputError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
    if dataset in ("imagenette", "imagenet") and path is None:
        raise InputError(f"{dataset} needs --path, a folder of train/CLASS and test/CLASS (or val/CLASS) images")
    grey = dataset in ("fashion-mnist", "mnist")
    side = {"fashion-mnist": 28, "mnist": 28, "cifar10": 32, "pcam": 96, "imagenette": 96, "imagenet": 224}[dataset]
    folder = path is not None and dataset in FOLDERS
    data = Data(
        name="folder" if folder else dataset,
        path=path,
        size=side if folder else None,
        augmentation={"cifar10": "crop-flip"}.get(dataset, "default"),
        validation=KEPT[dataset] if folder else 5000,
    )
    large = "lenet5" if scale == "cpu" else "sgt-mnist"
    names = {"fashion-mnist": "lenet5", "mnist": large, "imagenet": "resnet18-224"}
    if scale == "cpu":
        names |= dict.fromkeys(("pcam", "imagenette"), "resnet18-224")
    name = network or names.get(dataset, "resnet18")
    chosen = Network(name=name, normalize=not grey)
    small = name in ("lenet5", "sgt-mnist")
    if grey:
        base = Experiment(dataset=data, network=chosen, epochs=5)
    else:
        sgd = Optimizer(name="sgd", lr=0.1, weight_decay=5e-4, nesterov=True)
        epochs = {"cifar10": 100, "imagenette": 100, "pcam": 20, "imagenet": 90}[dataset]
        base = Experiment(
            dataset=data, network=chosen, optimizer=sgd, schedule=Schedule(name="cosine"), epochs=epochs,
            channels_last=True,
        )  # fmt: skip
    evaluation = Evaluation()
    steps = 40
    if scale == "full" and grey:
        base = replace(base, epochs=40)
    if scale == "cpu":
        steps = 5
        # results/learning-rate-*.md
        base = replace(base, optimizer=Optimizer(lr=0.01), schedule=Schedule())
    if scale == "cpu" and not small:
        options = {"width": 8} if name.startswith(("resnet18", "vgg16")) else {}
        evaluation = Evaluation(images=200)
        # Those of Imagenette are fewer than 10 000.
        few = replace(base.dataset, limit=None if dataset == "imagenette" else 10_000)
        base = replace(base, dataset=few, network=replace(chosen, options=options), epochs=10, channels_last=True)
    if scale == "smoke":
        few = replace(data, limit=64, validation=16 if folder else 64)
        options = {"width": 4} if name.startswith(("resnet18", "vgg16")) else {}
        base = replace(
            base, dataset=few, network=replace(chosen, options=options), epochs=1, channels_last=False, batch_size=32,
            optimizer=Optimizer(), schedule=Schedule(),
        )  # fmt: skip
        evaluation = Evaluation(images=6, steps=2, repeats=1, draws=2, gallery=2)
        steps = 1
    stage = STAGES.get(name, "layer1")
    eps = {"fashion-mnist": 0.1, "mnist": 0.2, "cifar10": 8 / 255}.get(dataset, 4 / 255)
    region = {28: 2, 32: 2, 96: 8, 224: 16}[side]
    found = Setting(dataset=dataset, base=base, evaluation=evaluation, eps=eps, region=region, stage=stage, steps=steps)
    if scale == "smoke":
        return replace(found, maps=(VanillaGradient(), SmoothGrad(samples=2), IntegratedGradients(steps=3)))
    return found


def source(dataset: str, path: str | None) -> str:
    """What images a table is of, as tables and files say it: an image folder by its own name too.

    >>> source("cifar10", "images/cifar10-jpeg"), source("imagenet", "ILSVRC"), source("cifar10", None)
    ('cifar10-jpeg', 'imagenet-ILSVRC', 'cifar10')
    """
    own = slug(Path(path).name) if path and dataset in FOLDERS else dataset
    return own if own.startswith(dataset) else f"{dataset}-{own}"


def where(dataset: str, path: str | None, network: str | None, scale: Scale) -> str:
    """Dataset, network where it is not the recipe's, and scale, as folders and files are named.

    >>> where("fashion-mnist", None, None, "cpu"), where("fashion-mnist", None, "timm:convnext_atto", "cpu")
    ('fashion-mnist-cpu', 'fashion-mnist-timm-convnext_atto-cpu')
    """
    own = [] if network is None else [slug(network)]
    return "-".join([source(dataset, path), *own, scale])


def slug(name: str) -> str:
    """A name as part of a file's name.

    >>> slug("timm:convnext_atto")
    'timm-convnext_atto'
    """
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
