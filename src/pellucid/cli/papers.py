"""Plans over many networks: ``pellucid demo``, ``reproduce``, ``select`` and ``leaderboard``."""

from collections.abc import Sequence
from importlib import import_module

from pellucid.cli.options import Parser

__all__ = ["demo", "leaderboard", "reproduce", "select"]


def demo(arguments: Sequence[str]) -> None:
    """Train, measure and compare six networks."""
    parser = Parser(
        "demo",
        "Train six networks on Fashion-MNIST, measure them, and compare them in a report. The same command continues "
        "what was interrupted.",
        examples=(
            ("pellucid demo --quick", "a first look, in less than a minute"),
            ("pellucid demo --out runs/demo-seed1 --seed 1", "the whole demo with another seed"),
        ),
        settings="pellucid.demo.Demo",
    )
    settings, _ = parser.parse(arguments)
    from pellucid.demo import demo

    demo(settings)


def reproduce(arguments: Sequence[str]) -> None:
    """Train and measure what a paper's tables need, then write them."""
    parser = Parser(
        "reproduce",
        "Reproduce the tables of a paper: train and measure what is missing, and write the measured numbers beside the "
        "published ones. The same command continues what was interrupted.",
        examples=(
            ("pellucid reproduce ismail2021 --dry-run", "what would be trained, and about how long it would take"),
            ("pellucid reproduce xu2023 --table 3 --scale smoke --seeds 1", "a trial of one table, in minutes"),
        ),
        settings="pellucid.papers.plan.Reproduction",
    )
    parser.add_argument("paper", metavar="PAPER", help="bhusal2026, guesmi2024, ismail2021, xu2023 or pellucid")
    _carry_out(parser, arguments, "pellucid.papers.reproduce", "reproduce")


def select(arguments: Sequence[str]) -> None:
    """Choose settings on validation images."""
    parser = Parser(
        "select",
        "Choose settings on validation images: train every candidate, and choose by a rule that was set in advance. "
        "The same command continues what was interrupted.",
        examples=(
            ("pellucid select xu2023 --dry-run", "the candidates for SCAAT, and about how long they would take"),
            ("pellucid select ismail2021 --scale smoke", "a trial of the search for saliency-guided training"),
        ),
        settings="pellucid.papers.plan.Selection",
    )
    parser.add_argument(
        "search", help="ismail2021 (SGT), xu2023, xu2023-again, xu2023-longer, xu2023-one-step (SCAAT) or pellucid"
    )
    _carry_out(parser, arguments, "pellucid.papers.select", "select")


def leaderboard(arguments: Sequence[str]) -> None:
    """Make one dataset's leaderboard, or search its settings."""
    parser = Parser(
        "leaderboard",
        "Compare every method with its controls on one dataset: train and measure what is missing, and write the "
        "table. The same command continues what was interrupted.",
        examples=(
            ("pellucid leaderboard fashion-mnist --scale smoke --seeds 1", "a trial, in minutes"),
            ("pellucid leaderboard truth:beside --jobs 2", "the board whose truth is known, two networks at a time"),
        ),
        settings="pellucid.leaderboard.plan.Leaderboard",
    )
    parser.add_argument(
        "name",
        help="a dataset: fashion-mnist, truth:beside, truth:shapes, cifar10 or imagenette; or a page about what the "
        "boards have measured: measures (which measure tells the truth), cards (how well the trust card judges) or "
        "sentences (what was declared before measuring)",
    )
    parser.add_argument("--search", action="store_true", help="choose settings on validation images instead")
    settings, parsed = parser.parse(arguments)
    pages = {
        "measures": ("telling", "measures"),
        "cards": ("calibration", "cards"),
        "sentences": ("declared", "sentences"),
    }
    module, name = pages.get(settings.name, ("search", "search") if parsed.search else ("run", "leaderboard"))
    for file in getattr(import_module(f"pellucid.leaderboard.{module}"), name)(settings):
        print(file)


def _carry_out(parser: Parser, arguments: Sequence[str], module: str, name: str) -> None:
    """Say what would be done, or do it and print the files."""
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be done, and roughly how long it would take"
    )
    settings, parsed = parser.parse(arguments)
    if parsed.dry_run:
        import_module(module).forecast(settings)
        return
    for file in getattr(import_module(module), name)(settings):
        print(file)
