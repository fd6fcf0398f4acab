"""Plans over many networks: ``pellucid demo``, ``reproduce``, ``select`` and ``leaderboard``."""

from collections.abc import Sequence
from importlib import import_module

from pellucid.cli.options import Parser

__all__ = ["demo", "leaderboard", "reproduce", "select"]


def demo(arguments: Sequence[str]) -> None:
    """Train, measure and compare six networks."""
    parser = Parser(
        "demo", "Six networks on Fashion-MNIST: trained, measured, compared.", settings="pellucid.demo.Demo"
    )
    settings, _ = parser.parse(arguments)
    from pellucid.demo import demo

    demo(settings)


def reproduce(arguments: Sequence[str]) -> None:
    """Train and measure what a paper's tables need, then write them."""
    parser = Parser(
        "reproduce",
        "A paper's tables: train and measure what is missing, write measured beside published.",
        settings="pellucid.papers.plan.Reproduction",
    )
    parser.add_argument("paper", help="bhusal2026, guesmi2024, ismail2021, xu2023 or pellucid")
    _carry_out(parser, arguments, "pellucid.papers.reproduce", "reproduce")


def select(arguments: Sequence[str]) -> None:
    """Choose settings on validation images."""
    parser = Parser(
        "select",
        "Choose settings on validation images: every candidate trained, a rule set before.",
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
        "One table a dataset: every method beside its controls; trains and measures what is missing.",
        settings="pellucid.leaderboard.plan.Leaderboard",
    )
    parser.add_argument(
        "name",
        help="fashion-mnist, truth:beside, truth:shapes, cifar10 or imagenette; or a page over what boards have "
        "measured: measures (which one tells the truth), cards (what the trust card's words are worth), sentences",
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
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and how long it would take")
    settings, parsed = parser.parse(arguments)
    if parsed.dry_run:
        import_module(module).forecast(settings)
        return
    for file in getattr(import_module(module), name)(settings):
        print(file)
