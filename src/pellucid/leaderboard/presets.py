"""Trainings that a search found, ready for use: what `pellucid train --preset NAME` sets."""

from dataclasses import dataclass, replace

from pellucid.attacks import PGD
from pellucid.edits.activation import Activation
from pellucid.edits.smoothing import Smoothing
from pellucid.leaderboard.composition import Composition
from pellucid.leaderboard.plan import Family
from pellucid.leaderboard.settings import strengths
from pellucid.methods import Method
from pellucid.metrics.regions import default_region
from pellucid.papers.plan import known
from pellucid.papers.setting import STAGES
from pellucid.runs.settings import Experiment

__all__ = ["PRESETS", "Preset", "known_preset", "preset"]

PRESETS = ("trustworthy", "truest", "robust", "fast")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How a network is trained, apart from the images, the network and the optimizer.

    Args:
        method: the training method.
        activation: what stands in for ReLU; None leaves it.
        smoothing: the smoothing block, if there is one.
    """

    method: Method
    activation: Activation | None = None
    smoothing: Smoothing | None = None

    def applied_to(self, experiment: Experiment) -> Experiment:
        """An experiment with these in place of its own."""
        return replace(experiment, method=self.method, activation=self.activation, smoothing=self.smoothing)


def preset(name: str, *, shape: tuple[int, int, int], network: str = "lenet5") -> Preset:
    """The training that a search found for images of a size.

    ``trustworthy`` is the composition whose vanilla gradient maps lie most on what decides the class, for two points of
    accuracy; ``truest`` the same for five points; ``robust`` the same for three, among those that withstand an attack
    30 points oftener than regular training; where none does, the one that withstands it most. They were chosen on
    validation images of two truth sets, one of grey images and one of colour images, by rules that
    ``pellucid leaderboard truth:beside --search`` writes beside what it finds. On colour images ``truest`` is
    ``trustworthy``. What they reach on test images, and what a step costs as a multiple of regular training's, stands
    in ``results/leaderboard-*.md``.

    ``fast`` is the truest training that takes at most two and a half times as long as the regular one. On grey images
    it was chosen in ``results/fast.md``, and is ``truest`` whose penalty looks at a quarter of each batch. Images of 96
    pixels and more have the settings of small colour ones, which no search has confirmed there.

    Args:
        name: ``trustworthy``, ``truest``, ``robust`` or ``fast``.
        shape: (c, h, w) of the images; one channel means grey.
        network: name of the network, which decides where a smoothing block goes.

    Raises:
        InputError: an unknown preset.

    >>> type(preset("trustworthy", shape=(1, 28, 28)).method).__name__
    'GradientPenalty'
    """
    known_preset(name)
    found = Composition.of(strengths(_family(shape), name))

    def pgd(eps: float, steps: int, step_size: float) -> PGD:
        return PGD(eps=eps, step_size=step_size, steps=steps)

    return Preset(
        method=found.method(pgd, default_region(min(shape[1:]))),
        activation=found.smooth(),
        smoothing=found.block(STAGES.get(network, "layer1")),
    )


def known_preset(name: str) -> None:
    """Refuse a name that no preset has.

    Raises:
        InputError: there is none.
    """
    known("preset", name, PRESETS)


def _family(shape: tuple[int, int, int]) -> Family:
    channels, *sides = shape
    return "grey" if channels == 1 else "colour" if min(sides) < 96 else "colour-96"
