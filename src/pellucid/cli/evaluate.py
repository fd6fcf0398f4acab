"""``pellucid evaluate``: its settings are those of `pellucid.Evaluation`."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid.cli.options import Parser, add_engine, engine
from pellucid.core.errors import InputError

__all__ = ["evaluate"]

EXAMPLES = (
    ("pellucid evaluate runs/regular --images 200", "every default measure on 200 test images"),
    (
        "pellucid evaluate runs/regular runs/scaat --metrics gini,stability --saliency vanilla_gradient,gradcam",
        "two measures of two kinds of maps, of two networks",
    ),
)
OF_NETWORK = ("dataset", "network")
"""Settings of `pellucid.Experiment` that say which network is measured where it comes from no run, and on what."""


def evaluate(arguments: Sequence[str]) -> None:
    """Measure networks on their test images: those of runs, or any."""
    parser = Parser(
        "evaluate",
        "Measure networks on their test images, and print a table. Each image becomes a row of RUN/rows.parquet.",
        examples=EXAMPLES,
        settings="pellucid.Evaluation",
        config=True,
    )
    parser.add_argument(
        "run",
        type=Path,
        nargs="*",
        help="run folders that `pellucid train` or `pellucid tune` wrote; none with --network",
    )
    parser.add_argument("--resume", action="store_true", help="continue an evaluation that was interrupted")
    parser.add_argument("--minutes", type=float, help="minutes that all runs together may take; see --budget")
    parser.add_argument(
        "--network", metavar="NAME",
        help="measure any network: timm:NAME, torchvision:NAME or package.module:factory; takes "
        "the options --network.* and --dataset.* of `pellucid train`",
    )  # fmt: skip
    parser.add_argument("--weights", metavar="FILE", help="with --network: the file of its weights")
    parser.add_argument(
        "--classes", metavar="FILE", help="with --network: a file with the names of its classes, in their order"
    )
    parser.add_argument("--out", type=Path, help="with --network: the run folder to write")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier evaluation instead of keeping it")
    add_engine(parser)
    own, of_network = _parted(arguments)
    evaluation, parsed = parser.parse(own)
    from pellucid.config import read_config
    from pellucid.runs import evaluation as measured
    from pellucid.runs.directory import RunDirectory
    from pellucid.runs.training import is_first_process

    runs = _runs(parsed, of_network)
    if parsed.minutes is not None:
        evaluation = replace(evaluation, budget=60 * parsed.minutes / len(runs))
    for number, run in enumerate(runs):
        measured.evaluate(run, evaluation, resume=parsed.resume, overwrite=parsed.overwrite, **engine(parsed))
        if is_first_process():
            print(run)
        if evaluation.budget is not None and number == 0:  # what fits is the same for all, so that they compare
            made = read_config(RunDirectory(run).evaluation, type(evaluation))
            evaluation = replace(made, budget=None)
    if is_first_process():
        _show(runs)


def _show(runs: Sequence[Path]) -> None:
    """Print what was measured: one table where the runs can be compared, otherwise one for each."""
    from pellucid.core.terminal import is_styled
    from pellucid.report import compare, read_runs, render
    from pellucid.report.text_table import ranks

    try:
        together = [read_runs(list(dict.fromkeys(runs)))]
    except InputError:  # of different images
        together = [read_runs([run]) for run in runs]
    for some in together:
        told = ranks(some) if len(some) > 1 else None
        print(f"\n{render(compare(some), 'text', ranks=told, styled=is_styled())}")


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words about what is measured, and those about a network of no run and its images.

    >>> _parted(["--images", "20", "--dataset.name", "folder", "--network.head=new", "--out", "runs/before"])
    (['--images', '20', '--out', 'runs/before'], ['--dataset.name', 'folder', '--network.head=new'])
    """
    own: list[str] = []
    of_network: list[str] = []
    into = own
    for word in arguments:
        if word.startswith("--"):
            into = of_network if word.startswith(tuple(f"--{name}." for name in OF_NETWORK)) else own
        into.append(word)
    return own, of_network


def _runs(parsed: Namespace, of_network: Sequence[str]) -> list[Path]:
    """The run directories to measure; that of a network of no run is written first."""
    if parsed.network is None:
        given = [word for word in of_network if word.startswith("--")]
        given += [f"--{name}" for name in ("weights", "classes", "out") if getattr(parsed, name) is not None]
        if given:
            raise InputError(f"{given[0].partition('=')[0]} is for --network, which is missing; a run brings its own")
        if not parsed.run:
            raise InputError("give run directories to measure, or a network with --network, --dataset.name and --out")
        return list(parsed.run)
    if parsed.run:
        raise InputError(f"give either run directories or --network, got --network and the run {parsed.run[0]}")
    if parsed.out is None:
        raise InputError("--out is missing; it names the run directory that is written for the network")
    from pellucid.runs.given import recorded

    return [recorded(_experiment(parsed, of_network), parsed.out)]


def _experiment(parsed: Namespace, of_network: Sequence[str]) -> Any:
    """The experiment of a network as it is given: of no epoch."""
    words = [*of_network, "--network.name", parsed.network, "--epochs", "0"]
    words += [] if parsed.weights is None else ["--network.weights", parsed.weights]
    experiment, _ = Parser("evaluate --network", "A network and its images.", settings="pellucid.Experiment").parse(
        words
    )
    if parsed.classes is None:
        return experiment
    from pellucid.explanation.explained_network import class_names

    names = class_names(parsed.classes)
    return replace(experiment, dataset=replace(experiment.dataset, classes=names))
