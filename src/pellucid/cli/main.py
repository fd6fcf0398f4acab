"""The command line. Options of `train` and `evaluate` are generated from the dataclasses; nothing is named twice.

The top level imports neither torch nor any command's module, so that ``pellucid --help`` answers at once.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pellucid import __version__
from pellucid.cli.options import (
    add_config,
    add_engine,
    add_plan,
    bracketed,
    carry_out,
    command_parser,
    engine,
    instantiate,
    listed,
    numbers,
    without_other_methods,
)
from pellucid.core.errors import InputError

__all__ = ["main"]

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after the program's name; those of the process by default.

    Returns:
        Exit code: 0 done, 1 a requirement of ``check`` is not met, 2 a user's mistake (one sentence on standard error),
        130 or 143 stopped by a signal.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in arguments if not word.startswith("-")), None)
    if name is None or arguments[0] in ("-h", "--help", "--version"):
        _overview().parse_args(arguments)
        _overview().print_help()
        return 0
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # so that a network or method of the user's own is found beside them
    before = signal.getsignal(signal.SIGTERM)
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
        if name != arguments[0]:
            raise InputError(f"the command comes first, got {arguments[0]!r} before {name!r}")
        if name not in COMMANDS:
            raise InputError(f"unknown command {name!r}; there are {', '.join(COMMANDS)}")
        return COMMANDS[name][1](arguments[arguments.index(name) + 1 :]) or 0
    except InputError as error:
        return _failed(str(error), EXIT_MISTAKE)
    except KeyboardInterrupt as error:
        code = getattr(error, "code", EXIT_INTERRUPTED)
        if name in REPEATED:
            how = str(error).partition(";")[0] or "interrupted"
            return _failed(f"{how}; what was finished is kept: the same command given again continues", code)
        return _failed(str(error) or "interrupted; what was finished is kept", code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `head` does
        return 0
    except OSError as error:  # no space, no permission, no such file
        where = f": {error.filename}" if error.filename else ""
        return _failed(f"{error.strerror or error}{where}; nothing was half-written", EXIT_MISTAKE)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _Terminated(KeyboardInterrupt):
    code = 128 + signal.SIGTERM


def _terminate(number: int, frame: Any) -> None:
    """Stop as after Ctrl-C; training, which has a checkpoint to write first, puts its own handler in front."""
    raise _Terminated("stopped by SIGTERM; what was finished is kept, and --resume continues")


def _failed(sentence: str, code: int) -> int:
    print(f"pellucid: {sentence}", file=sys.stderr)
    return code


def _overview() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<9} {summary}" for name, (summary, _) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="pellucid",
        usage="pellucid COMMAND [options]",
        description="Train image classifiers whose saliency maps can be trusted, and measure it.",
        epilog=f"commands:\n{lines}\n\n`pellucid COMMAND --help` tells a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pellucid {__version__}")
    return parser


def _demo(arguments: list[str]) -> None:
    from pellucid.demo import Demo, demo

    parser = command_parser("demo", "Six networks on Fashion-MNIST: trained, measured, compared.")
    parser.add_argument("--out", type=Path, help="folder of the runs and the report (runs/demo, runs/demo-quick)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the training images: about a minute")
    parser.add_argument("--seed", default=Demo.seed, type=int, help="seed of everything")
    parsed = parser.parse_args(arguments)
    demo(Demo(out=parsed.out, quick=parsed.quick, seed=parsed.seed))


def _train(arguments: list[str]) -> None:
    from pellucid.runs.settings import Experiment, read_experiment
    from pellucid.runs.training import fit, is_first_process

    parser = command_parser("train", "Train one network into a run directory.")
    parser.add_argument("run", type=Path, help="the run directory; its name is the run's name")
    add_config(parser)
    parser.add_argument("--resume", action="store_true", help="continue the run that the directory holds")
    parser.add_argument("--log", type=str, help="tensorboard, csv or wandb: where numbers go while it trains")
    parser.add_argument("--snapshots", default=0, type=int, help="epochs between two snapshots of the maps; 0 for none")
    add_engine(parser)
    parser.add_class_arguments(Experiment)
    experiment, parsed = instantiate(parser, without_other_methods(arguments), Experiment)
    alone = {word.partition("=")[0] for word in arguments if word.startswith("--")} <= {
        "--resume",
        "--log",
        "--snapshots",
        "--accelerator",
        "--devices",
        "--num-nodes",
        "--strategy",
    }
    if parsed.resume and alone:
        if not (parsed.run / "experiment.yaml").exists():
            raise InputError(f"there is nothing to resume in {parsed.run}; give the settings of the run to begin it")
        experiment = read_experiment(parsed.run)
    for note in _short_attacks(experiment.method):
        print(f"pellucid: {note}", file=sys.stderr)
    watching = {"log": parsed.log, "snapshots": parsed.snapshots}
    fit(experiment, parsed.run, resume=parsed.resume, **watching, **engine(parsed))
    if is_first_process():
        print(parsed.run)


def _short_attacks(method: Any) -> Iterator[str]:
    """A sentence for each attack whose steps end inside its ball, as they do where eps alone was given."""
    import dataclasses

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


def _evaluate(arguments: list[str]) -> None:
    from pellucid.runs.evaluation import Evaluation, evaluate
    from pellucid.runs.training import is_first_process

    parser = command_parser("evaluate", "Measure trained networks on their test images: one row per image.")
    parser.add_argument("run", type=Path, nargs="+", help="finished run directories")
    add_config(parser)
    parser.add_argument("--resume", action="store_true", help="keep the rows of an interrupted evaluation")
    add_engine(parser)
    parser.add_class_arguments(Evaluation)
    evaluation, parsed = instantiate(parser, bracketed(arguments, Evaluation), Evaluation)
    for run in parsed.run:
        evaluate(run, evaluation, resume=parsed.resume, **engine(parsed))
        if is_first_process():
            print(run)


def _compare(arguments: list[str]) -> None:
    from pellucid.report import compare, definitions, read_runs, render

    parser = command_parser("compare", "Table of measured run directories: means with 95 % intervals.")
    parser.add_argument("run", type=Path, nargs="+", help="measured run directories")
    parser.add_argument("--baseline", type=Path, help="run that the others' paired differences are told from")
    parser.add_argument("--format", default="text", type=str, help="text, json, csv, latex or markdown")
    parser.add_argument("--metrics", default="", type=str, help="names or families with commas between; all by default")
    parser.add_argument("--definitions", action="store_true", help="tell below the table what each column means")
    parsed = parser.parse_args(arguments)
    metrics = [name.strip() for name in parsed.metrics.split(",") if name.strip()]
    paths = list(dict.fromkeys(Path(path).absolute() for path in (parsed.baseline, *parsed.run) if path is not None))
    runs = read_runs(paths)
    baseline = runs[0] if parsed.baseline is not None else None
    meaning = definitions(runs, metrics) if parsed.definitions else None
    print(render(compare(runs, metrics=metrics, baseline=baseline), parsed.format, definitions=meaning))


def _explain(arguments: list[str]) -> None:
    from pellucid.explanation.batch import explain
    from pellucid.explanation.options import subject_and_words, with_reference

    parser = command_parser("explain", "Trust cards: the maps of single images, and how far each can be trusted.")
    parser.add_argument(
        "words", type=str, nargs="+", help="a run directory, then images, folders or -; with --network images alone"
    )
    parser.add_argument("--out", default=Path("explanations"), type=Path, help="folder of the cards")
    parser.add_argument("--format", default="png,html,json", type=str, help="of png, html, json, npz")
    parser.add_argument("--saliency", default="", type=str, help="methods with commas between, as of evaluate")
    parser.add_argument("--target", type=str, help="class that is explained, by number or name; the predicted one")
    parser.add_argument("--full", action="store_true", help="tighter figures: more noise, more random maps")
    parser.add_argument("--reference", type=Path, help="folder of images that percentiles are of; a run has its own")
    parser.add_argument("--reference-images", default=50, type=int, help="at most so many of them")
    parser.add_argument("--network", type=str, help="package.module:factory, timm:NAME, torchvision:NAME or our own")
    parser.add_argument("--weights", type=Path, help="file of its state_dict, .safetensors, .pt or .pth")
    parser.add_argument("--options", default="{}", type=str, help="its keyword arguments as JSON")
    parser.add_argument("--size", default=224, type=int, help="side in pixels of the images that it takes")
    parser.add_argument("--channels", default=3, type=int, help="of these images")
    parser.add_argument("--mean", default="", type=str, help="of each channel of pixels in [0, 1], commas between")
    parser.add_argument("--std", default="", type=str, help="of each channel, commas between")
    parser.add_argument("--classes", default="1000", type=str, help="file of the classes' names, or their number")
    parser.add_argument("--batch-size", default=8, type=int, help="images measured at once")
    parser.add_argument("--seed", default=0, type=int, help="of every draw")
    parser.add_argument("--accelerator", default="auto", type=str, help="auto, cpu, cuda or mps")
    parsed = parser.parse_args(arguments)
    subject, words, examination = subject_and_words(parsed)
    summary = explain(
        subject,
        words,
        parsed.out,
        examination=examination,
        reference=with_reference(parsed, subject, examination),
        formats=listed(parsed.format),
        target=parsed.target,
        batch_size=parsed.batch_size,
    )
    if not summary.made:
        reason = summary.skipped[0]["reason"]
        many = len(summary.skipped)
        raise InputError(reason if many == 1 else f"none of {many} images could be explained; the first: {reason}")
    for entry in summary.made:
        print(f"{entry['source']}: {entry['prediction']}. {entry['sentence']}")
    for entry in summary.skipped:
        print(f"pellucid: skipped: {entry['reason']}", file=sys.stderr)
    if summary.skipped:
        print(f"pellucid: {len(summary.made)} explained, {len(summary.skipped)} skipped", file=sys.stderr)


def _check(arguments: list[str]) -> int:
    from pellucid.report.gate import check, github, is_met, parse, table, write_junit

    parser = command_parser("check", "Hold a run against a baseline: exit code 0 if every requirement is met, 1 else.")
    parser.add_argument("run", type=Path, help="the measured run directory")
    parser.add_argument("--baseline", type=Path, required=True, help="one that was measured on the same images")
    parser.add_argument("--require", type=str, required=True, help="such as 'gini>=-0.02, aopc_lerf<=1.1x'")
    parser.add_argument("--undecided", default="fail", type=str, help="fail or pass where the images cannot tell")
    parser.add_argument("--format", default="text", type=str, help="text, markdown or json")
    parser.add_argument("--junit", type=Path, help="file of JUnit's XML to write too")
    parser.add_argument("--github", action="store_true", help="print annotations for GitHub Actions too")
    parsed = parser.parse_args(arguments)
    is_met((), undecided=parsed.undecided)  # refuses another word before anything is read
    outcomes = check(parsed.run, parsed.baseline, parse(parsed.require))
    print(table(outcomes, parsed.format))
    if parsed.github:
        print(github(outcomes, undecided=parsed.undecided))
    if parsed.junit is not None:
        write_junit(outcomes, parsed.junit, name=parsed.run.resolve().name, undecided=parsed.undecided)
    return 0 if is_met(outcomes, undecided=parsed.undecided) else 1


def _report(arguments: list[str]) -> None:
    from pellucid.report import write_report

    parser = command_parser("report", "One self-contained HTML page about measured run directories.")
    parser.add_argument("run", type=Path, nargs="+", help="measured run directories; the first is the baseline")
    parser.add_argument("--out", default=Path("report.html"), type=Path, help="the page")
    parser.add_argument("--figures", type=Path, help="folder for every figure as SVG, PDF and PNG too")
    parsed = parser.parse_args(arguments)
    print(write_report(parsed.run, parsed.out, figures=parsed.figures))


def _metrics(arguments: list[str]) -> None:
    from pellucid.report import describe

    parser = command_parser("metrics", "What every metric means, and where it comes from.")
    parser.add_argument("name", type=str, nargs="*", help="metrics or families, such as gini or stability; all else")
    parser.add_argument("--format", default="text", type=str, help="text, markdown or json")
    parsed = parser.parse_args(arguments)
    print(describe(parsed.name, parsed.format))


def _reproduce(arguments: list[str]) -> None:
    from pellucid.papers.reproduce import Reproduction, forecast, reproduce

    parser = command_parser(
        "reproduce", "A paper's tables: train and measure what is missing, write measured beside published."
    )
    parser.add_argument("paper", type=str, help="bhusal2026, guesmi2024, ismail2021, xu2023 or pellucid")
    parser.add_argument(
        "--table", type=str, help="number of a table; all of the paper's but its ablations, 1-again and 1-longer else"
    )
    parser.add_argument("--network", type=str, help="another network than the recipe's, such as resnet18")
    parser.add_argument("--seeds", default=Reproduction.seeds, type=int, help="trainings of each network")
    parser.add_argument("--devices", default=None, type=str, help="GPUs that trainings are dealt to, such as 0,1")
    parser.add_argument("--trace", type=Path, help="JSON file of your own `pellucid select pellucid`, for pellucid")
    add_plan(parser, Reproduction)
    parsed = parser.parse_args(arguments)
    fields = ("paper", "table", "dataset", "path", "network", "scale", "seeds", "jobs", "out", "results", "trace")
    choice = Reproduction(**{name: getattr(parsed, name) for name in fields}, devices=numbers(parsed.devices))
    carry_out(parsed, choice, forecast, reproduce)


def _select(arguments: list[str]) -> None:
    from pellucid.papers.select import Selection, forecast, select

    parser = command_parser(
        "select", "Choose settings on validation images: every candidate trained, a rule set before."
    )
    parser.add_argument(
        "search",
        type=str,
        help="ismail2021 (SGT), xu2023, xu2023-again, xu2023-longer, xu2023-one-step (SCAAT) or pellucid",
    )
    parser.add_argument("--network", type=str, help="another network than the recipe's, such as resnet18")
    parser.add_argument("--seed", default=Selection.seed, type=int, help="seed of every training")
    add_plan(parser, Selection)
    parsed = parser.parse_args(arguments)
    fields = ("search", "dataset", "path", "network", "scale", "seed", "jobs", "out", "results")
    carry_out(parsed, Selection(**{name: getattr(parsed, name) for name in fields}), forecast, select)


def _data(arguments: list[str]) -> None:
    from pellucid.data import get, names

    parser = command_parser("data", "Get a dataset, or list them.")
    parser.add_argument("action", type=str, help="get or list")
    parser.add_argument("name", type=str, nargs="?", help="dataset to get")
    parser.add_argument("--path", type=str, help="folder that holds its files already")
    parsed = parser.parse_args(arguments)
    if parsed.action == "list":
        for known in names():
            print(f"{known.name:<14} {known.description}: {known.place or 'not here'}")
    elif parsed.action == "get" and parsed.name:
        print(get(parsed.name, path=parsed.path, progress=lambda line: print(line, file=sys.stderr)))
    else:
        raise InputError(f"`pellucid data` takes `get NAME` or `list`, got {' '.join(arguments)!r}")


def _study(arguments: list[str]) -> None:
    from pellucid.study.commands import run

    run(arguments)


REPEATED = ("demo", "reproduce", "select")
"""Commands that continue what they find; the others have an option for it, if any."""
COMMANDS: dict[str, tuple[str, Callable[[list[str]], int | None]]] = {
    "demo": ("six networks on Fashion-MNIST: trained, measured, compared in a report", _demo),
    "train": ("train one network into a run directory", _train),
    "evaluate": ("measure trained networks, one row per test image", _evaluate),
    "compare": ("table of measured runs", _compare),
    "explain": ("maps of single images, and how far each can be trusted", _explain),
    "check": ("hold a run against a baseline, for continuous integration", _check),
    "report": ("one self-contained page about measured runs", _report),
    "metrics": ("what every metric means, and where it comes from", _metrics),
    "study": ("a human study of the maps: made, served, analysed", _study),
    "reproduce": ("a paper's tables, measured beside published", _reproduce),
    "select": ("settings chosen on validation images, every candidate kept", _select),
    "data": ("get a dataset, or list them", _data),
}
