"""``pellucid evaluate``: its settings are those of `pellucid.Evaluation`."""

from collections.abc import Sequence
from pathlib import Path

from pellucid.cli.options import Parser, add_engine, engine

__all__ = ["evaluate"]


def evaluate(arguments: Sequence[str]) -> None:
    """Measure trained networks on their test images."""
    parser = Parser(
        "evaluate",
        "Measure trained networks on their test images: one row per image.",
        settings="pellucid.Evaluation",
        config=True,
    )
    parser.add_argument("run", type=Path, nargs="+", help="finished run directories")
    parser.add_argument("--resume", action="store_true", help="keep the rows of an interrupted evaluation")
    add_engine(parser)
    evaluation, parsed = parser.parse(arguments)
    from pellucid.runs import evaluation as measured
    from pellucid.runs.training import is_first_process

    for run in parsed.run:
        measured.evaluate(run, evaluation, resume=parsed.resume, **engine(parsed))
        if is_first_process():
            print(run)
