"""``pellucid tune`` and ``pellucid presets``."""

from collections.abc import Sequence

from pellucid.cli.options import Parser

__all__ = ["presets", "tune"]


def tune(arguments: Sequence[str]) -> None:
    """Tune a pretrained network on photographs and say whether it was worth it."""
    parser = Parser(
        "tune",
        "Tune a pretrained network on your photographs, beside a control; the same command continues what was stopped.",
        settings="pellucid.tuning.plan.Tune",
    )
    parser.add_argument("photos", help="folder of the photographs: PHOTOS/CLASS/*, or PHOTOS/train/CLASS/*")
    settings, _ = parser.parse(arguments)
    from pellucid.tuning.tune import tune

    print(tune(settings))


def presets(arguments: Sequence[str]) -> None:
    """Tell the presets and what they rest on."""
    parser = Parser("presets", "The presets of train and tune: what each is made of, and what it rests on.")
    parser.add_argument("--format", default="text", help="text or json")
    parsed = parser.parse_args(list(arguments))
    from pellucid.tuning.presets_table import table

    print(table(parsed.format), end="")
