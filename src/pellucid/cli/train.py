"""``pellucid train``: its settings are those of `pellucid.Experiment`."""

import dataclasses
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.cli.options import Parser, add_engine, engine
from pellucid.cli.overlay import path_of
from pellucid.core.errors import InputError

__all__ = ["train"]

EXAMPLES = (
    ("pellucid train runs/regular", "a LeNet-5 on Fashion-MNIST, trained in the regular way"),
    (
        "pellucid train runs/scaat --method SCAAT --method.attack.eps 8/255",
        "the same network, trained so that pixels its map calls irrelevant do not matter",
    ),
    (
        "pellucid train runs/mine --dataset.name folder --dataset.path photos --dataset.size 96 "
        "--network.name timm:resnet18",
        "a ResNet-18 on your own pictures, in photos/CLASS/*",
    ),
)


def train(arguments: Sequence[str]) -> None:
    """Train one network into a run directory."""
    parser = Parser(
        "train",
        "Train one network into a run directory.",
        examples=EXAMPLES,
        settings="pellucid.Experiment",
        config=True,
    )
    parser.add_argument("run", type=Path, help="folder to write; its name is the name of the run")
    parser.add_argument("--resume", action="store_true", help="continue the training that the folder holds")
    parser.add_argument(
        "--preset", metavar="trustworthy|truest|robust|fast",
        help="use the method, activation and smoothing that a search found for images of this size",
    )  # fmt: skip
    parser.add_argument(
        "--log", metavar="tensorboard|csv|wandb", help="also log the training's numbers there while it runs"
    )
    parser.add_argument("--snapshots", default=0, type=int, help="keep some maps every N epochs; 0 for never")
    add_engine(parser)
    experiment, parsed = parser.parse(arguments, underneath=_preset)
    from pellucid.runs.directory import RunDirectory
    from pellucid.runs.settings import read_experiment
    from pellucid.runs.training import fit, is_first_process

    if parsed.resume and parsed.preset is None:
        there = RunDirectory(parsed.run).experiment.exists()
        if not there and not parsed.given:
            raise InputError(f"there is nothing to resume in {parsed.run}; give the settings of the run to begin it")
        if there and "config" not in parser.given:
            begun = read_experiment(parsed.run)
            _check_same(experiment, begun, parser.given, parsed.run)
            experiment = begun
    for note in _short_attacks(experiment.method):
        print(f"pellucid: {note}", file=sys.stderr)
    fit(experiment, parsed.run, resume=parsed.resume, log=parsed.log, snapshots=parsed.snapshots, **engine(parsed))
    if is_first_process():
        print(parsed.run)


def _check_same(experiment: Any, begun: Any, given: Sequence[str], run: Path) -> None:
    """Refuse a setting that is given and is another in the run that is resumed; what is not given is as in the run."""
    from pellucid.config import to_config

    asked, there = to_config(experiment), to_config(begun)
    for name in given:
        theirs, ours = (_at(config, path_of(name)) for config in (there, asked))
        if theirs != ours:
            raise InputError(
                f"{run} was begun with another {name}: {theirs} there, {ours} asked for; leave the settings out, or "
                "give another folder"
            )


def _at(config: Any, path: Sequence[str]) -> Any:
    """The value at a place of a config, a class by its name."""
    for part in path:
        config = config.get("init_args", config) if isinstance(config, dict) else {}
        config = config.get(part)
    return config.get("class_path", config) if isinstance(config, dict) else config


def _preset(given: Mapping[str, Any], parsed: Namespace) -> Mapping[str, Any]:
    """What ``--preset`` says of method, activation and smoothing, for the dataset and network that are given."""
    if parsed.preset is None:
        return {}
    from pellucid.config import from_config, to_config
    from pellucid.data import Data, load
    from pellucid.leaderboard.presets import known_preset, preset
    from pellucid.models import Network

    known_preset(parsed.preset)  # before any image is looked at
    data, network = from_config(given.get("dataset", {}), Data), from_config(given.get("network", {}), Network)
    chosen = preset(parsed.preset, shape=load(data, "test").shape, network=network.name)
    return {name: value for name, value in to_config(chosen).items() if value is not None}


def _short_attacks(method: Any) -> Iterator[str]:
    """A sentence for each attack whose steps end inside its ball, as they do where eps alone was given."""
    from pellucid.attacks import PGD

    for field in dataclasses.fields(method) if dataclasses.is_dataclass(method) else ():
        value = getattr(method, field.name)
        if not isinstance(value, PGD):
            yield from _short_attacks(value)
        elif 0 < value.steps * value.step_size < value.eps:
            yield (
                f"note: {field.name} takes {value.steps} steps of {value.step_size:.3g}, which do not reach eps "
                f"{value.eps:.3g}; step_size does not follow eps"
            )
