"""What a tuning will cost before it is begun: seconds of a step, epochs and photographs that a time holds."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.data import Dataset, Loader
from pellucid.methods.objective import Objective
from pellucid.runs.fine_tuning import FineTuning
from pellucid.runs.settings import Experiment
from pellucid.runs.trained import build_network

__all__ = ["Spending", "spending", "step_seconds"]

TIMED = 3
"""Steps that are timed after the first, which is slower."""
TRAINING = 0.6
"""Share of the time that goes to training; the rest to measuring and the report."""


@dataclass(frozen=True)
class Spending:
    """How a given time is spent.

    Attributes:
        epochs: passes of each network over the photographs.
        images: training photographs of an epoch; fewer than there are where the time does not hold one epoch of all.
        training: seconds of training, all networks together.
        measuring: seconds that are left for measuring.
    """

    epochs: int
    images: int
    training: float
    measuring: float


def spending(
    step: Sequence[float], *, images: int, batch_size: int, seconds: float, epochs: int | None, most: int
) -> Spending:
    """Epochs, photographs and seconds of measuring that a time holds.

    Args:
        step: seconds of a training step of each network.
        images: training photographs that there are.
        batch_size: photographs in a step.
        seconds: for everything.
        epochs: where a person has chosen them; they are kept, whatever they take.
        most: epochs beyond which none are spent.

    >>> spending([0.5, 1.0], images=320, batch_size=32, seconds=100.0, epochs=None, most=10)
    Spending(epochs=4, images=320, training=60.0, measuring=40.0)
    >>> spending([0.5, 1.0], images=3200, batch_size=32, seconds=100.0, epochs=None, most=10).images
    1280
    """
    together = sum(step)
    of_epoch = max(1, images // batch_size) * together
    given = TRAINING * seconds
    if epochs is None:
        epochs = max(1, min(most, int(given / of_epoch)))
        if of_epoch > given:
            images = min(images, max(4, int(given / together)) * batch_size)
    training = epochs * max(1, images // batch_size) * together
    return Spending(epochs, images, training, max(seconds - training, (1 - TRAINING) * seconds))


def step_seconds(experiment: Experiment, train: Dataset) -> float:
    """Seconds of one training step of an experiment, the fastest of a few on this machine as it is now.

    Args:
        experiment: the network, the method and the size of a batch.
        train: its training images.
    """
    model = build_network(experiment, train).train()
    batches = Loader(
        train, batch_size=min(experiment.batch_size, len(train)), shuffle=True, seed=experiment.seed, drop_last=True
    )
    tuning = experiment.fine_tuning or FineTuning()
    objective = Objective(
        model, experiment.method, len(train), total_steps=TIMED + 1, seed=experiment.seed,
        running_statistics=tuning.running_statistics,
    )  # fmt: skip
    optimizer = experiment.optimizer.build(objective.parameters())
    batch = next(iter(batches.epoch(0)))
    seconds = []
    for _ in range(TIMED + 1):
        start = time.perf_counter()
        objective(*batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
