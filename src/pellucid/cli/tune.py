"""``pellucid tune`` and ``pellucid presets``."""

from collections.abc import Sequence

from pellucid.cli.options import Parser

__all__ = ["presets", "tune"]


def tune(arguments: Sequence[str]) -> None:
    """Tune a pretrained network on photographs and say whether it was worth it."""
    parser = Parser(
        "tune",
        "Fine-tune a pretrained network on your photographs, once with a method for better maps and once without, and "
        "say whether it was worth it. The same command continues what was interrupted.",
        examples=(
            ("pellucid tune photos --network timm:resnet18", "the default preset for a ResNet-18"),
            (
                "pellucid tune photos --network timm:vit_tiny_patch16_224 --minutes 60 --out runs/vit",
                "a transformer, in about an hour",
            ),
        ),
        settings="pellucid.tuning.plan.Tune",
    )
    parser.add_argument("photos", help="folder of the photographs: PHOTOS/CLASS/*, or PHOTOS/train/CLASS/*")
    settings, _ = parser.parse(arguments)
    from pellucid.tuning.tune import tune

    print(tune(settings))


def presets(arguments: Sequence[str]) -> None:
    """Tell the presets and what they rest on."""
    parser = Parser(
        "presets",
        "List the presets of `pellucid train` and `pellucid tune`: what each is made of, and the evidence for it.",
        examples=(
            ("pellucid presets", "the list"),
            ("pellucid presets --format json", "the same, for a program"),
        ),
    )
    parser.add_argument("--format", default="text", metavar="text|json", help="how to write the list")
    parsed = parser.parse_args(list(arguments))
    from pellucid.tuning.presets_table import table

    print(table(parsed.format), end="")
