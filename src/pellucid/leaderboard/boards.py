"""The boards: on which images networks are held against one another, which network, and how long it is trained."""

from dataclasses import replace

from pellucid.data import Data
from pellucid.data.config import usual_eps
from pellucid.leaderboard.evaluation import evaluation
from pellucid.leaderboard.plan import Leaderboard
from pellucid.models import Network
from pellucid.papers.setting import STAGES, Setting, setting
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.settings import Experiment, Optimizer, Schedule

__all__ = ["beginning", "board"]

FAST = {"optimizer": Optimizer(lr=0.01), "schedule": Schedule()}
"""Adam and one cycle, as all trainings of `pellucid.papers.setting` at scale ``cpu`` have."""


def board(plan: Leaderboard) -> Setting:
    """Images, network, training and measures of a board; entries are functions of it.

    Fashion-MNIST: LeNet-5, 5 epochs of 55 000 images. Truth set ``beside``: LeNet-5, 4 epochs of 20 000 images. Truth
    set ``shapes``: ResNet-18 with ImageNet's stem and an eighth of the usual width, 5 epochs of 10 000 images, which
    begin from the network of `beginning`.
    CIFAR-10 and Imagenette: as `pellucid.papers.setting.setting` has them at scale ``cpu``. Of Fashion-MNIST 1000 test
    images are measured, of the grey truth set 500, of colour ones 200.

    Args:
        plan: which board, at which scale.

    Raises:
        InputError: images that need a path.

    >>> board(Leaderboard(name="fashion-mnist")).base.epochs
    5
    """
    at = _truth(plan) if plan.truth else setting(plan.name, plan.scale, path=plan.path)
    return replace(at, evaluation=evaluation(plan, at))


def beginning(plan: Leaderboard) -> Experiment | None:
    """The regular training from whose weights every network of a board is trained further; None: from random ones.

    With random weights to start from, penalties and attacks keep a network of truth set ``shapes`` at chance for longer
    than the board has time; trained further from a regular network, they learn. Regular training, which the others are
    held against, is trained further as long.

    Args:
        plan: which board, at which scale.

    >>> beginning(Leaderboard(name="truth:shapes")).epochs, beginning(Leaderboard(name="truth:beside"))
    (10, None)
    """
    if not plan.truth or plan.family == "grey":
        return None
    return replace(board(plan).base, epochs=1 if plan.scale == "smoke" else 10)


def _truth(plan: Leaderboard) -> Setting:
    grey = plan.family == "grey"
    name = "lenet5" if grey else "resnet18-224"
    network = Network(name=name, normalize=not grey, options={} if grey else {"width": 8})
    data, epochs = Data(name=plan.name, limit=20_000 if grey else 10_000), 4 if grey else 5
    measured = Evaluation(images=500 if grey else 200)
    if plan.scale == "smoke":
        data, epochs = replace(data, limit=64, validation=64), 1
        measured = Evaluation(images=6, steps=2, repeats=1, draws=2, gallery=2)
    base = Experiment(
        dataset=data, network=network, epochs=epochs, batch_size=32 if plan.scale == "smoke" else 128,
        channels_last=not grey, **FAST,  # type: ignore[arg-type]
    )  # fmt: skip
    return Setting(
        dataset=plan.name, scale=plan.scale, base=base, evaluation=measured,
        eps=usual_eps(plan.name), region=2 if grey else 4, stage=STAGES.get(name, "layer1"),
        steps=1 if plan.scale == "smoke" else 5,
    )  # fmt: skip
