"""``pellucid data``."""

import sys
from collections.abc import Sequence

from pellucid.cli.options import Parser
from pellucid.core.errors import InputError

__all__ = ["data"]


def data(arguments: Sequence[str]) -> None:
    """Get a dataset, or list them."""
    parser = Parser(
        "data",
        "Get a dataset, or list them.",
        examples=(
            ("pellucid data list", "every dataset that pellucid knows, and where it lies on this machine"),
            ("pellucid data get fashion-mnist", "fetch Fashion-MNIST and verify every file"),
        ),
    )
    parser.add_argument("action", metavar="get|list", help="what to do")
    parser.add_argument("name", nargs="?", help="the dataset to get")
    parser.add_argument("--path", help="folder that holds its files already")
    parsed = parser.parse_args(arguments)
    from pellucid.data import get, names
    from pellucid.data.config import TRUTH

    if parsed.action == "list":
        for known in names():
            print(f"{known.name:<22} {known.description}: {known.place or 'not here'}")
        for name, what in TRUTH.items():
            print(f"{name:<22} {what}: made when it is first read")
    elif parsed.action == "get" and parsed.name:
        print(get(parsed.name, path=parsed.path, progress=lambda line: print(line, file=sys.stderr)))
    else:
        raise InputError(f"`pellucid data` takes `get NAME` or `list`, got {' '.join(arguments)!r}")
