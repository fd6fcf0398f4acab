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
    parser.add_argument("--path", help="folder that already holds its files")
    parsed = parser.parse_args(arguments)
    from pellucid.core import terminal
    from pellucid.data import get, names
    from pellucid.data.config import TRUTH

    if parsed.action == "list":
        places = {one.name: one.place or f"not here; `pellucid data get {one.name}` fetches it" for one in names()}
        rows = [[one.name, f"{one.description}\n{places[one.name]}"] for one in names()]
        rows += [[name, f"{what}\nmade when it is first read"] for name, what in TRUTH.items()]
        print(terminal.rendered(terminal.table(["Dataset", "What it holds, and where it is"], rows)))
    elif parsed.action == "get" and parsed.name:
        print(get(parsed.name, path=parsed.path, progress=lambda line: print(line, file=sys.stderr)))
    else:
        raise InputError(f"`pellucid data` takes `get NAME` or `list`, got {' '.join(arguments)!r}")
